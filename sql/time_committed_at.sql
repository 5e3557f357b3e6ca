-- When the latest commit up to a number was made.
SELECT committed_at FROM commits WHERE commit_id <= $1 ORDER BY commit_id DESC LIMIT 1
