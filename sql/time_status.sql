-- What there was as of a commit, by product and node.
SELECT product, node, count(*) AS files, coalesce(sum(num_rows), 0)::int8 AS num_rows,
       coalesce(sum(size_bytes), 0)::int8 AS size_bytes
FROM files_as_of($1)
GROUP BY product, node
ORDER BY product, node
