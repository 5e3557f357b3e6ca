-- Pixels with tiles to be made: how many may be tried now, how many must wait and for how long,
-- who holds the pixel, and on which nodes files of it lie already.
WITH wanted AS (
    SELECT healpix, count(*) FILTER (WHERE is_ready) AS ready,
           count(*) FILTER (WHERE NOT is_ready) AS waiting,
           min(wait_s) FILTER (WHERE NOT is_ready) AS wait_s
    FROM (SELECT healpix, coalesce(retry_at <= now, true) AS is_ready,
                 extract(epoch FROM retry_at - now)::float8 AS wait_s
          FROM archive_tiles, clock_timestamp() AS now
          WHERE state = 'queued' AND release = $1
            AND ($2::int8[] IS NULL OR tile_id = ANY ($2))) AS t
    GROUP BY healpix)
SELECT w.healpix, w.ready, w.waiting, w.wait_s,
       l.token IS NOT NULL
           AND greatest(l.expires_at, pg_postmaster_start_time() + l.lease_s * interval '1 s')
               >= clock_timestamp() AS is_held,
       ARRAY(SELECT DISTINCT f.node FROM file_registry f
             WHERE f.state = 'live' AND f.healpix = w.healpix AND f.product = $3) AS nodes
FROM wanted w LEFT JOIN campaign_leases l USING (healpix)
ORDER BY w.healpix
