-- What a lake is to take away.
SELECT path, size_bytes, mtime_ns, inode FROM campaign_set_aside WHERE lake_id = $1 ORDER BY path
