SELECT schema_id, columns FROM file_schemas WHERE schema_id = ANY ($1)
