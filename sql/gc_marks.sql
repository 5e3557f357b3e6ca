-- Files on their way out of a lake, and whether their grace (seconds) is over.
SELECT path, kind, size_bytes, mtime_ns, inode, step,
       coalesce(moved_at, marked_at) + $2 * interval '1 second' AS due_at,
       coalesce(moved_at, marked_at) + $2 * interval '1 second' <= clock_timestamp() AS is_due
FROM gc_marks
WHERE lake_id = $1
ORDER BY path
