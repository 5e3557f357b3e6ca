-- Range of each integer (and boolean) column over the live files of each schema.
SELECT f.schema_id, c.slot,
       0::int8 AS files_with_nan,
       count(c.low) FILTER (WHERE c.high IS NOT NULL) AS files_known,
       min(c.low) AS low,
       max(c.high) AS high
FROM file_registry AS f
JOIN file_bounds AS b ON b.file_id = f.file_id,
     unnest(b.int_min, b.int_max) WITH ORDINALITY AS c (low, high, slot)
WHERE f.state = 'live'
GROUP BY f.schema_id, c.slot
