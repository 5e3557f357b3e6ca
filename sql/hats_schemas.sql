-- Schemas that live files of a product ($2) have which came after a commit ($3), oldest first, and
-- one such file each.
SELECT s.fingerprint, f.path
FROM (SELECT schema_id, min(path) AS path
      FROM file_registry
      WHERE lake_id = $1 AND product = $2 AND added_commit > $3 AND state = 'live'
      GROUP BY schema_id) AS f
JOIN file_schemas s USING (schema_id)
ORDER BY s.schema_id
