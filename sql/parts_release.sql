-- A part of a run is free; so are all that it holds, and what dead ones held, if none is named.
WITH lazily AS (SELECT set_config('synchronous_commit', 'off', true))
DELETE FROM part_leases USING lazily
WHERE (run_id = $1 AND ($2::text IS NULL OR (work = $2 AND step = $3 AND part = $4)))
    OR ($2::text IS NULL AND expires_at < clock_timestamp())
