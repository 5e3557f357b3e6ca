-- Tiles of which a lake holds the only file are to be made again.
UPDATE archive_tiles t SET state = 'queued', queued_at = now()
FROM file_registry f
WHERE f.lake_id = $1 AND f.state = 'live' AND f.product = $2 AND t.state = 'done'
  AND (t.release, t.survey, t.program, t.healpix) = (f.release, f.survey, f.program, f.healpix)
  AND NOT EXISTS (SELECT FROM file_registry o
                  WHERE o.state = 'live' AND o.lake_id <> f.lake_id AND o.product = f.product
                    AND (o.release, o.survey, o.program, o.healpix)
                      = (f.release, f.survey, f.program, f.healpix))
