-- Schemas in use in a product: asked for only when a column seems to be in none.
SELECT DISTINCT schema_id FROM file_registry
WHERE state = 'live' AND product = $1 AND schema_id IS NOT NULL
