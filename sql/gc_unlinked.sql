-- Files that are gone: the registry remembers that they were deleted.
WITH gone AS (
    DELETE FROM gc_marks WHERE lake_id = $1 AND path = ANY ($2) AND step = 'unlinking'
    RETURNING lake_id, size_bytes, mtime_ns, inode)
UPDATE file_registry f SET state = 'deleted'
FROM gone g
WHERE f.lake_id = g.lake_id AND f.removed_commit IS NOT NULL AND f.inode = g.inode
  AND f.size_bytes = g.size_bytes AND f.mtime_ns = g.mtime_ns
  AND f.state IN ('replaced', 'superseded', 'missing')
