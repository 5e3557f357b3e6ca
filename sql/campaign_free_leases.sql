UPDATE campaign_leases
SET token = NULL, node = NULL, lake_id = NULL, run_id = NULL, taken_at = NULL, expires_at = NULL,
    lease_s = NULL
WHERE token = ANY ($1)
