-- What there is of each product on each node, and how far its files' schemas have drifted apart: files of
-- another schema than the one that most of the product's live files have.
WITH files AS (
    SELECT product, node, state, schema_id, num_rows, size_bytes FROM file_registry
    WHERE state IN ('live', 'quarantined', 'missing')
), schemas AS (
    SELECT DISTINCT ON (product) product, schema_id AS usual,
           count(*) OVER (PARTITION BY product) AS schemas
    FROM (SELECT product, schema_id, count(*) AS files FROM files
          WHERE state = 'live' AND schema_id IS NOT NULL GROUP BY product, schema_id) AS each
    ORDER BY product, files DESC, schema_id DESC
)
SELECT f.product, f.node,
       count(*) FILTER (WHERE state = 'live') AS files,
       coalesce(sum(num_rows) FILTER (WHERE state = 'live'), 0)::int8 AS num_rows,
       coalesce(sum(size_bytes) FILTER (WHERE state = 'live'), 0)::int8 AS size_bytes,
       count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
       count(*) FILTER (WHERE state = 'missing') AS missing,
       coalesce(max(s.schemas), 0) AS schemas,
       count(*) FILTER (WHERE state = 'live' AND schema_id <> s.usual) AS drifted
FROM files AS f LEFT JOIN schemas AS s USING (product)
GROUP BY f.product, f.node
ORDER BY f.product, f.node
