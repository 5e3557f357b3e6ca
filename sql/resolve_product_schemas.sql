-- Schemas in use in a product: asked for only when a column seems to be in none. Each is found by one
-- hop over the index, however many files have it.
WITH RECURSIVE hops AS (
    SELECT min(schema_id) AS schema_id FROM file_registry WHERE state = 'live' AND product = $1
    UNION ALL
    SELECT (SELECT min(f.schema_id) FROM file_registry f
            WHERE f.state = 'live' AND f.product = $1 AND f.schema_id > h.schema_id)
    FROM hops h WHERE h.schema_id IS NOT NULL)
SELECT schema_id FROM hops WHERE schema_id IS NOT NULL
