SELECT path FROM file_registry
WHERE lake_id = $1 AND product = $2 AND state = 'quarantined'
ORDER BY path
