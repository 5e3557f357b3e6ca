-- Commits are numbered from beyond $1 on: lakes remember numbers of a registry that is lost.
SELECT setval(s, greatest(nextval(s), $1::int8 + 1), false) FROM pg_get_serial_sequence('commits', 'commit_id') AS s
