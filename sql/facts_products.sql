-- What lies where: files, rows and bytes of each product in each lake, with those that are there
-- but cannot be read and those that are gone.
SELECT product,
       lake_id,
       count(*) FILTER (WHERE state = 'live') AS live,
       count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
       count(*) FILTER (WHERE state = 'missing') AS missing,
       coalesce(sum(num_rows) FILTER (WHERE state = 'live'), 0)::int8 AS rows,
       count(*) FILTER (WHERE state = 'live' AND num_rows = 0) AS empty,
       coalesce(sum(num_row_groups) FILTER (WHERE state = 'live'), 0)::int8 AS row_groups,
       coalesce(sum(size_bytes) FILTER (WHERE state = 'live'), 0)::int8 AS size_bytes,
       coalesce(max(size_bytes) FILTER (WHERE state = 'live'), 0)::int8 AS largest_bytes
FROM file_registry
WHERE state IN ('live', 'quarantined', 'missing')
GROUP BY product, lake_id
ORDER BY product, lake_id
