-- A part of a run is free; so are all that it holds, and what dead ones held, if none is named.
DELETE FROM part_leases
WHERE (run_id = $1 AND ($2::text IS NULL OR (work = $2 AND step = $3 AND part = $4)))
    OR ($2::text IS NULL AND expires_at < clock_timestamp())
