-- The latest commit of a lake, and when it was made; no row before its first.
SELECT c.commit_id, c.committed_at
FROM lakes l JOIN commits c ON c.commit_id = l.last_commit
WHERE l.lake_id = $1
