-- Versions of files that are live in a lake.
SELECT file_id FROM file_registry WHERE lake_id = $1 AND state = 'live' ORDER BY file_id
