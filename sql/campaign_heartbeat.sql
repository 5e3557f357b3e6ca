-- A beat that was on its way when its run left says nothing any more; who was forgotten is back.
UPDATE campaign_nodes
SET heartbeat_at = now, alive_until = now + $4 * interval '1 s', free_bytes = $2, disk_bytes = $3,
    state = 'running'
FROM clock_timestamp() AS now
WHERE run_id = $1 AND state <> 'left'
