SELECT DISTINCT schema_id FROM files_as_of($2) WHERE product = $1 AND schema_id IS NOT NULL
