-- What the registry believes to be in a folder of a lake ($2 ends with a slash), by path.
SELECT file_id, path, product, size_bytes, mtime_ns, inode, num_rows, healpix, state = 'live',
       in_catalog
FROM file_registry
WHERE lake_id = $1 AND removed_commit IS NULL AND path >= $2 AND path < rtrim($2, '/') || '0'
ORDER BY path
