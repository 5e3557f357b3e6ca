-- What a complete listing of (survey, program) pairs did not show is not there.
WITH listed AS (SELECT * FROM unnest($2::text[], $3::text[]) AS l (survey, program)),
gone AS (
    UPDATE archive_files f SET state = 'absent', seen_at = now()
    FROM archive_tiles t JOIN listed l USING (survey, program)
    WHERE t.tile_id = f.tile_id AND t.release = $1 AND f.state = 'present' AND f.kind = ANY ($4)
      AND NOT EXISTS (
          SELECT FROM archive_seen s
          WHERE (s.release, s.survey, s.program, s.healpix, s.kind)
              = (t.release, t.survey, t.program, t.healpix, f.kind))
    RETURNING f.tile_id, f.kind),
emptied AS (
    UPDATE archive_tiles t SET state = 'absent'
    FROM (SELECT tile_id FROM gone WHERE kind = 'coadd') AS g
    WHERE t.tile_id = g.tile_id AND t.state IN ('queued', 'failed')
    RETURNING t.release, t.survey, t.program, t.healpix)
SELECT (SELECT count(*) FROM gone) AS files_absent,
       ARRAY(SELECT release || '-' || survey || '-' || program || '-' || healpix FROM emptied
             ORDER BY survey, program, healpix) AS tiles_absent
