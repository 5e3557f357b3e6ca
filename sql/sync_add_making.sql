WITH added AS (
    INSERT INTO file_makings (fingerprint, document) VALUES ($1, $2)
    ON CONFLICT (fingerprint) DO NOTHING
    RETURNING making_id)
SELECT making_id FROM added
UNION ALL
SELECT making_id FROM file_makings WHERE fingerprint = $1
