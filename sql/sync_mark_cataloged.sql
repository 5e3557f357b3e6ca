UPDATE file_registry SET in_catalog = $2 WHERE file_id = ANY ($1)
