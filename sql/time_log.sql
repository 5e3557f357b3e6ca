-- The latest commits up to $2, newest first; at most $1. NULL asks nothing.
SELECT commit_id, committed_at, action, node, committed_by, program, key, lake_id,
       files_added, files_changed, files_missing, files_replaced, files_quarantined,
       rows_added, rows_removed, bytes_added, bytes_removed, catalog_added, catalog_removed
FROM commits
WHERE $2::int8 IS NULL OR commit_id <= $2
ORDER BY commit_id DESC
LIMIT $1
