UPDATE gc_marks SET step = 'moved', moved_at = clock_timestamp()
WHERE lake_id = $1 AND path = ANY ($2) AND step = 'marked'
