-- What is known of files, to be held against the disk.
SELECT f.file_id, f.path, f.size_bytes, f.mtime_ns, f.inode, f.state = 'live', f.num_rows,
       f.footer_hash, s.fingerprint, f.order_hash
FROM file_registry f LEFT JOIN file_schemas s USING (schema_id)
WHERE f.file_id = ANY ($1)
ORDER BY f.path
