-- A live file of the product for each of its schemas ($2): what an answer without rows looks like.
SELECT (SELECT registry_id FROM registry_identity) AS registry_id, f.file_id
FROM unnest($2::int4[]) AS s (schema_id), LATERAL (
    SELECT f.file_id FROM file_registry f
    WHERE f.state = 'live' AND f.product = $1::text AND f.schema_id = s.schema_id
    LIMIT 1) AS f
