-- The first commit and the latest, each with its time, and the latest up to a time ($1).
SELECT min(commit_id) AS first, min(committed_at) AS first_at,
       max(commit_id) AS latest, max(committed_at) AS latest_at,
       max(commit_id) FILTER (WHERE committed_at <= $1) AS latest_then
FROM commits
