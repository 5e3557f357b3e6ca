-- What was missing and is there again, under its path or as another file of its tile.
WITH found AS (
    UPDATE file_registry AS m SET state = 'replaced'
    WHERE m.lake_id = $1 AND m.state = 'missing'
      AND (EXISTS (SELECT FROM file_registry AS f
                   WHERE f.lake_id = m.lake_id AND f.path = m.path AND f.removed_commit IS NULL)
        OR EXISTS (SELECT FROM file_registry AS f
                   WHERE f.state = 'live'
                     AND (f.healpix, f.program, f.survey, f.release, f.product)
                       = (m.healpix, m.program, m.survey, m.release, m.product)))
    RETURNING removed_commit)
SELECT count(*) FROM found WHERE removed_commit = $2
