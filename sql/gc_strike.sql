-- Files that stay after all, or that somebody has taken.
DELETE FROM gc_marks WHERE lake_id = $1 AND path = ANY ($2)
