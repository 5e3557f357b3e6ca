-- The latest commits, newest first; at most $1.
SELECT commit_id, committed_at, node, program, files_added, files_changed, files_missing,
       files_replaced, files_quarantined, rows_added, rows_removed, bytes_added, bytes_removed
FROM commits
ORDER BY commit_id DESC
LIMIT $1
