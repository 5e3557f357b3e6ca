-- A node takes part. Nothing comes back where another lake speaks for a node of this name.
INSERT INTO campaign_nodes AS n (
    node, lake_id, run_id, release, weight, takes_all, free_bytes, disk_bytes, state,
    joined_at, heartbeat_at, alive_until)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, 'running', now, now, now + $9 * interval '1 s'
FROM clock_timestamp() AS now
ON CONFLICT (node) DO UPDATE
SET lake_id = excluded.lake_id, run_id = excluded.run_id, release = excluded.release,
    weight = excluded.weight, takes_all = excluded.takes_all, free_bytes = excluded.free_bytes,
    disk_bytes = excluded.disk_bytes, state = 'running', joined_at = excluded.joined_at,
    heartbeat_at = excluded.heartbeat_at, alive_until = excluded.alive_until
WHERE n.lake_id = excluded.lake_id OR n.state <> 'running' OR n.alive_until < clock_timestamp()
RETURNING node
