DELETE FROM part_leases
WHERE run_id = $1 AND ($2::text IS NULL OR (work = $2 AND step = $3 AND part = $4))
