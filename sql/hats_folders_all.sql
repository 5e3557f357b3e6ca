-- Folders that a product ($2) of a lake has or had files in, and what is live in each.
SELECT left(path, -strpos(reverse(path), '/')) AS folder,
       count(*) FILTER (WHERE state = 'live') AS files,
       coalesce(sum(num_rows) FILTER (WHERE state = 'live'), 0)::bigint AS num_rows,
       coalesce(sum(size_bytes) FILTER (WHERE state = 'live'), 0)::bigint AS size_bytes
FROM file_registry
WHERE lake_id = $1 AND product = $2
GROUP BY folder
