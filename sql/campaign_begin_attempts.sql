-- A try for each tile of leased pixels that is to be made, with its files in the archive, and whether the
-- lake has a file of it that was set aside.
WITH begun AS (
    INSERT INTO campaign_attempts AS a (tile_id, token, lake_id, node, stage, began_at, seen_at)
    SELECT t.tile_id, l.token, $3, $4, $5, clock_timestamp(),
           (SELECT max(f.seen_at) FROM archive_files f WHERE f.tile_id = t.tile_id)
    FROM unnest($1::int4[], $2::int8[]) AS l (healpix, token)
    JOIN archive_tiles t USING (healpix)
    WHERE t.state = 'queued' AND t.release = $6
      AND coalesce(t.retry_at <= clock_timestamp(), true)
      AND ($7::int8[] IS NULL OR t.tile_id = ANY ($7))
    RETURNING a.attempt_id, a.tile_id, a.token)
SELECT t.release, t.survey, t.program, t.healpix, f.kind, f.key, f.size_bytes, f.etag, f.sha256,
       b.attempt_id, b.token,
       EXISTS (SELECT FROM file_registry d
               WHERE d.lake_id = $3 AND d.state = 'quarantined' AND d.product = $8
                 AND (d.release, d.survey, d.program, d.healpix)
                   = (t.release, t.survey, t.program, t.healpix)) AS is_damaged
FROM begun b
JOIN archive_tiles t USING (tile_id)
LEFT JOIN archive_files f ON f.tile_id = b.tile_id AND f.state = 'present'
ORDER BY b.token, t.survey, t.program, array_position('{coadd,redrock,emline,rrdetails}', f.kind)
