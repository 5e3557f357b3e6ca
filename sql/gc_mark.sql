-- Marks files; those that already lie in the folder of what was moved ($7) begin their second grace.
INSERT INTO gc_marks (lake_id, path, kind, size_bytes, mtime_ns, inode, step, moved_at)
SELECT $1, path, kind, size_bytes, mtime_ns, inode,
       CASE WHEN is_moved THEN 'moved' ELSE 'marked' END,
       CASE WHEN is_moved THEN clock_timestamp() END
FROM unnest($2::text[], $3::text[], $4::int8[], $5::int8[], $6::int8[], $7::bool[])
     AS m (path, kind, size_bytes, mtime_ns, inode, is_moved)
ON CONFLICT DO NOTHING
