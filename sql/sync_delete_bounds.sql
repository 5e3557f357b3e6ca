DELETE FROM file_bounds WHERE file_id = ANY ($1)
