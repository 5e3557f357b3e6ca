UPDATE part_leases SET expires_at = clock_timestamp() + make_interval(secs => lease_s)
WHERE run_id = $1
