-- Tiles whose last try failed; $2 = of one outcome. And tiles that were made and whose file is gone, or was set
-- aside since, with no other in its place.
WITH lost AS (
    SELECT DISTINCT ON (t.tile_id) t.tile_id, t.survey, t.program, t.healpix,
           concat_ws('-', t.release, t.survey, t.program, t.healpix) AS tile, f.node, c.committed_at AS ended_at,
           CASE f.state WHEN 'missing' THEN f.path || ' is gone' ELSE f.path || ': ' || f.reason END AS error
    FROM file_registry f
    JOIN archive_tiles t USING (release, survey, program, healpix)
    LEFT JOIN commits c ON c.commit_id = coalesce(f.quarantined_commit, f.removed_commit, f.added_commit)
    WHERE f.state IN ('missing', 'quarantined') AND f.product = $3
      AND t.state = 'done' AND t.release = $1 AND $2::text IS NULL
      AND NOT EXISTS (SELECT FROM file_registry o
                      WHERE o.state = 'live' AND o.product = f.product
                        AND (o.release, o.survey, o.program, o.healpix)
                          = (f.release, f.survey, f.program, f.healpix))
    ORDER BY t.tile_id, f.file_id DESC)
SELECT tile_id, tile, state, outcome, retry_at, node, ended_at, error
FROM (SELECT tile_id, tile, state, outcome, retry_at, node, ended_at, error, survey, program, healpix
      FROM failures WHERE release = $1 AND ($2::text IS NULL OR outcome = $2)
      UNION ALL
      SELECT tile_id, tile, 'lost', NULL, NULL, node, ended_at, error, survey, program, healpix
      FROM lost) AS f
ORDER BY outcome, survey, program, healpix
