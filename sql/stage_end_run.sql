UPDATE stage_runs SET ended_at = clock_timestamp(), ending = $2
WHERE run_id = $1 AND ended_at IS NULL
