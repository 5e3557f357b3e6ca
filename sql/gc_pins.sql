-- Of versions of files of a lake (size, time, inode), those that a saved snapshot names.
SELECT v.place, min(p.snapshot) AS snapshot
FROM unnest($2::int8[], $3::int8[], $4::int8[]) WITH ORDINALITY AS v (size_bytes, mtime_ns, inode, place)
JOIN file_registry f ON f.lake_id = $1 AND f.removed_commit IS NOT NULL AND f.inode = v.inode
                    AND f.size_bytes = v.size_bytes AND f.mtime_ns = v.mtime_ns
JOIN snapshot_pins p USING (file_id)
GROUP BY v.place
