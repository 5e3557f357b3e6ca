SELECT coalesce(max(commit_id), 0) FROM commits
