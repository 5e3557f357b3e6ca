-- Versions of files that a snapshot names ($2: their numbers in the registry that saved it; $3 to $6: which
-- they are): gc keeps them, whatever this registry knows of them. What it has unlinked is left out.
INSERT INTO snapshot_pins (snapshot, file_id, lake_id, size_bytes, mtime_ns, inode)
SELECT $1, v.*
FROM unnest($2::int8[], $3::uuid[], $4::int8[], $5::int8[], $6::int8[])
     AS v (file_id, lake_id, size_bytes, mtime_ns, inode)
WHERE NOT EXISTS (
    SELECT FROM file_registry f
    WHERE f.lake_id = v.lake_id AND f.removed_commit IS NOT NULL AND f.inode = v.inode
      AND f.size_bytes = v.size_bytes AND f.mtime_ns = v.mtime_ns AND f.state = 'deleted')
ON CONFLICT DO NOTHING
