-- Versions of files that the registry believes to be in a lake.
SELECT file_id FROM file_registry WHERE lake_id = $1 AND removed_commit IS NULL ORDER BY file_id
