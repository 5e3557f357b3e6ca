-- Tiles are to be tried again, at once; of those that are made, the ones that no live file holds.
UPDATE archive_tiles t SET state = 'queued', queued_at = now(), failures = 0, retry_at = NULL
WHERE tile_id = ANY ($1)
  AND (state IN ('failed', 'queued')
       OR state = 'done'
          AND NOT EXISTS (SELECT FROM file_registry f
                          WHERE f.state = 'live' AND f.product = $2
                            AND (f.release, f.survey, f.program, f.healpix)
                              = (t.release, t.survey, t.program, t.healpix)))
