WITH added AS (
    INSERT INTO file_schemas (fingerprint, columns) VALUES ($1, $2)
    ON CONFLICT (fingerprint) DO NOTHING
    RETURNING schema_id)
SELECT schema_id FROM added
UNION ALL
SELECT schema_id FROM file_schemas WHERE fingerprint = $1
