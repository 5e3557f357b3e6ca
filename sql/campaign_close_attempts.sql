-- Tries under these leases come to no outcome.
UPDATE campaign_attempts SET ended_at = clock_timestamp(), ending = $2, error = $3
WHERE token = ANY ($1) AND ended_at IS NULL
