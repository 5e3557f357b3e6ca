-- Of files that were found damaged, those that are live all the same.
SELECT file_id, coalesce(num_rows, 0) AS num_rows, size_bytes, healpix, in_catalog
FROM file_registry
WHERE file_id = ANY ($1) AND state = 'live'
