-- Folders of a product ($2) of a lake, and what is live in each.
SELECT left(path, -strpos(reverse(path), '/')) AS folder, count(*) AS files,
       coalesce(sum(num_rows), 0)::bigint AS num_rows,
       coalesce(sum(size_bytes), 0)::bigint AS size_bytes
FROM file_registry
WHERE lake_id = $1 AND product = $2 AND removed_commit IS NULL AND state = 'live'
GROUP BY folder
