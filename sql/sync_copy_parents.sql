COPY file_parents (file_id, size_bytes, mtime_ns, product, name, content, order_hash)
FROM STDIN (FORMAT binary)
