-- Schemas that live files of a product ($2) have which came after a commit ($3), oldest first, and
-- one such file each.
SELECT s.fingerprint, min(f.path) AS path
FROM file_registry f JOIN file_schemas s USING (schema_id)
WHERE f.lake_id = $1 AND f.product = $2 AND f.added_commit > $3 AND f.state = 'live'
GROUP BY s.schema_id
ORDER BY s.schema_id
