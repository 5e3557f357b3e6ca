-- A part for this run, unless another holds it. It does not wait for the disk: a lease that a crash of the
-- server loses lets a part be made twice.
WITH lazily AS (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO part_leases AS held (work, step, part, node, run_id, lease_s, expires_at)
SELECT $1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $6) FROM lazily
ON CONFLICT (work, step, part) DO UPDATE
SET node = excluded.node, run_id = excluded.run_id, lease_s = excluded.lease_s,
    expires_at = excluded.expires_at
WHERE held.expires_at < clock_timestamp() OR held.run_id = excluded.run_id
