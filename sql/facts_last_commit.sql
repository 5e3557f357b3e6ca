-- The latest commit of a lake; NULL, or no row, before its first.
SELECT last_commit FROM lakes WHERE lake_id = $1
