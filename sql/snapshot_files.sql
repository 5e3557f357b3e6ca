-- Versions of files ($1), with all by which they are known again.
SELECT file_id, lake_id, node, path, release, survey, program, healpix, num_rows, size_bytes,
       mtime_ns, inode, content, state, removed_commit
FROM file_registry
WHERE file_id = ANY ($1)
