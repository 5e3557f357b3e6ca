-- Files that were live as of one commit ($1) and not as of another ($2), and the other way round;
-- those of the same tile of a product, or else of the same path, side by side.
WITH was AS (
    SELECT f.*, coalesce(release || '-' || survey || '-' || program || '-' || healpix, lake_id || '/' || path) AS name
    FROM files_as_of($1) f
    WHERE removed_commit IS NOT NULL OR quarantined_commit IS NOT NULL OR added_commit > $2),
came AS (
    SELECT f.*, coalesce(release || '-' || survey || '-' || program || '-' || healpix, lake_id || '/' || path) AS name
    FROM files_as_of($2) f
    WHERE removed_commit IS NOT NULL OR quarantined_commit IS NOT NULL OR added_commit > $1),
old AS (
    SELECT w.*, row_number() OVER (PARTITION BY product, name ORDER BY file_id) AS turn
    FROM was w WHERE NOT EXISTS (SELECT FROM came c WHERE c.file_id = w.file_id)),
new AS (
    SELECT c.*, row_number() OVER (PARTITION BY product, name ORDER BY file_id) AS turn
    FROM came c WHERE NOT EXISTS (SELECT FROM was w WHERE w.file_id = c.file_id))
SELECT coalesce(o.product, n.product) AS product,
       o.file_id AS old_id, o.node AS old_node, rtrim(lo.root, '/') || '/' || o.path AS old_path,
       o.num_rows AS old_rows, o.size_bytes AS old_bytes,
       n.file_id AS new_id, n.node AS new_node, rtrim(ln.root, '/') || '/' || n.path AS new_path,
       n.num_rows AS new_rows, n.size_bytes AS new_bytes
FROM old o
FULL JOIN new n ON n.product = o.product AND n.name = o.name AND n.turn = o.turn
LEFT JOIN lakes lo ON lo.lake_id = o.lake_id
LEFT JOIN lakes ln ON ln.lake_id = n.lake_id
ORDER BY 1, coalesce(n.path, o.path), n.file_id, o.file_id
