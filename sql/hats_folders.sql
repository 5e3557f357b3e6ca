-- Folders of a product ($2) in which something changed after a commit ($3), and what is live in each.
-- Files that came to be quarantined later do not say when: their folders are always among them.
WITH changed AS (
    SELECT regexp_replace(path, '/[^/]*$', '') AS folder
    FROM file_registry
    WHERE lake_id = $1 AND product = $2 AND added_commit > $3
    UNION
    SELECT regexp_replace(path, '/[^/]*$', '')
    FROM file_registry
    WHERE lake_id = $1 AND product = $2 AND removed_commit > $3
    UNION
    SELECT regexp_replace(path, '/[^/]*$', '')
    FROM file_registry
    WHERE lake_id = $1 AND product = $2 AND state = 'quarantined'
)
SELECT folder, live.files, live.num_rows, live.size_bytes
FROM changed CROSS JOIN LATERAL (
    SELECT count(*) AS files, coalesce(sum(num_rows), 0)::bigint AS num_rows,
           coalesce(sum(size_bytes), 0)::bigint AS size_bytes
    FROM file_registry f
    WHERE f.lake_id = $1 AND f.removed_commit IS NULL AND f.state = 'live'
      AND f.path >= folder || '/' AND f.path < folder || '0'
) live
