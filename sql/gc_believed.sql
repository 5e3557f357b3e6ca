-- Of versions of files (size, time, inode), those that the registry believes to be in the lake: it has not
-- been told that they were replaced, and pins of them would not be found.
SELECT DISTINCT v.place
FROM unnest($2::int8[], $3::int8[], $4::int8[]) WITH ORDINALITY AS v (size_bytes, mtime_ns, inode, place)
JOIN file_registry f ON f.lake_id = $1 AND f.removed_commit IS NULL AND f.inode = v.inode
                    AND f.size_bytes = v.size_bytes AND f.mtime_ns = v.mtime_ns
