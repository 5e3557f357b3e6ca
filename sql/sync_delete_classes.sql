DELETE FROM file_classes WHERE file_id = ANY ($1)
