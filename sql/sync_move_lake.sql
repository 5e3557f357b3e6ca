-- The lake's node goes by another name, or the lake was carried to another node.
UPDATE file_registry SET node = $2
WHERE lake_id = $1 AND removed_commit IS NULL AND node <> $2
