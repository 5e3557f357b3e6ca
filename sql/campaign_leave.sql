UPDATE campaign_nodes SET state = 'left', heartbeat_at = now, alive_until = now
FROM clock_timestamp() AS now
WHERE run_id = $1 AND state = 'running'
