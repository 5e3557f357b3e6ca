-- Takes those of the pixels that nobody holds: with their new tokens, and the lapsed ones. A
-- server that was down has renewed nothing: leases are then borne with for their length.
WITH free AS (
    SELECT l.healpix, l.token AS lapsed
    FROM unnest($1::int4[]) WITH ORDINALITY AS p (healpix, place)
    JOIN campaign_leases l USING (healpix)
    WHERE l.token IS NULL
       OR greatest(l.expires_at, pg_postmaster_start_time() + l.lease_s * interval '1 s')
          < clock_timestamp()
    ORDER BY p.place
    FOR UPDATE OF l SKIP LOCKED)
UPDATE campaign_leases l
SET token = nextval('campaign_tokens'), node = $2, lake_id = $3, run_id = $4,
    taken_at = clock_timestamp(), expires_at = clock_timestamp() + $5 * interval '1 s',
    lease_s = $5
FROM free
WHERE l.healpix = free.healpix
RETURNING l.healpix, l.token, free.lapsed
