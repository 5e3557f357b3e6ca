DELETE FROM file_facts WHERE file_id = ANY ($1)
