-- Where the objects lie that a query ($1) gives: one row a file of the product ($2) of which the catalog
-- knows it. The objects stay in the server. Only if there are files of which it is not known, or $3 says
-- that there may be, the first row (file_id NULL) has them.
WITH asked AS MATERIALIZED (SELECT targets_of_query($1::text) AS targets)
SELECT NULL::int8 AS file_id, NULL::int4[] AS row_indexes,
       CASE WHEN $3::bool OR EXISTS (
           SELECT FROM file_registry WHERE state = 'live' AND NOT has_cells AND product = $2::text)
       THEN targets END AS targets
FROM asked
UNION ALL
SELECT r.file_id, r.row_indexes, NULL
FROM asked CROSS JOIN rows_of_targets(asked.targets, $2::text) AS r
