-- The schemas in use, with how many files of which product have them: more than one a product is
-- drift. Spectra stores have no columns.
SELECT f.product, s.fingerprint, s.schema_id, s.columns,
       count(*) AS files,
       count(*) FILTER (WHERE f.num_rows > 0) AS files_with_rows,
       coalesce(sum(f.num_rows), 0)::int8 AS rows
FROM file_registry AS f
JOIN file_schemas AS s ON s.schema_id = f.schema_id
WHERE f.state = 'live' AND s.columns <> '[]'
GROUP BY f.product, s.schema_id, s.fingerprint, s.columns
ORDER BY f.product, count(*) DESC, s.fingerprint
