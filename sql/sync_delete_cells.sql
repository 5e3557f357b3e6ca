DELETE FROM file_cells WHERE file_id = ANY ($1)
