-- What the registry believes to be in a lake, in the order in which the walk is sorted.
SELECT file_id, path, product, size_bytes, mtime_ns, inode, num_rows, healpix, state = 'live',
       in_catalog
FROM file_registry
WHERE lake_id = $1 AND removed_commit IS NULL
ORDER BY path
