-- The latest commit.
SELECT commit_id, committed_at FROM commits ORDER BY commit_id DESC LIMIT 1
