-- NULLs by column over the live files of each schema: files that have rows, those that count their
-- NULLs, those where the column holds no value at all, and the NULLs.
SELECT f.schema_id, n.position,
       count(n.nulls) AS files_known,
       count(*) FILTER (WHERE n.nulls = b.num_rows) AS files_without_values,
       coalesce(sum(n.nulls), 0)::int8 AS nulls
FROM file_registry AS f
JOIN file_bounds AS b ON b.file_id = f.file_id AND b.num_rows > 0,
     unnest(b.null_count) WITH ORDINALITY AS n (nulls, position)
WHERE f.state = 'live'
GROUP BY f.schema_id, n.position
