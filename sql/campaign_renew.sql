-- Renews leases, and says which are still held. A lease that is locked is being published, by its
-- holder: nobody can take it meanwhile, and it is not waited for.
WITH held AS (
    SELECT healpix FROM campaign_leases WHERE token = ANY ($1) FOR UPDATE SKIP LOCKED),
renewed AS (
    UPDATE campaign_leases l SET expires_at = clock_timestamp() + $2 * interval '1 s', lease_s = $2
    FROM held WHERE l.healpix = held.healpix)
SELECT token FROM campaign_leases WHERE token = ANY ($1)
