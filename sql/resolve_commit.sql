-- The commit that an answer is as of; 0 before the first.
SELECT coalesce(max(commit_id), 0) FROM commits
