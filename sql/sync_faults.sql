SELECT path, fault FROM file_registry
WHERE lake_id = $1 AND state = 'live' AND fault IS NOT NULL
ORDER BY path
