-- Files that cannot be read, that vanished, or that share their tile with another; at most $1.
SELECT f.lake_id, f.path, f.state,
       coalesce(f.reason, f.fault) AS reason,
       c.committed_at AS since,
       count(*) OVER () AS total
FROM file_registry AS f
LEFT JOIN commits AS c ON c.commit_id = coalesce(f.removed_commit, f.added_commit)
WHERE f.state IN ('quarantined', 'missing') OR (f.state = 'live' AND f.fault IS NOT NULL)
ORDER BY f.lake_id, f.path, f.file_id
LIMIT $1
