-- Fingerprints of schemas ($1), oldest first.
SELECT schema_id, fingerprint FROM file_schemas WHERE schema_id = ANY($1) ORDER BY schema_id
