-- Names, over all lakes, the live files that share their tile with another of their product, and
-- takes the name off those that do no longer. Looks at the tiles of pixels $1; NULL = at all.
WITH shared AS (
    SELECT product, release, survey, program, healpix
    FROM file_registry
    WHERE state = 'live' AND healpix IS NOT NULL AND ($1::int4[] IS NULL OR healpix = ANY ($1))
    GROUP BY product, release, survey, program, healpix
    HAVING count(*) > 1),
named AS (
    SELECT f.file_id, 'another live file holds tile '
           || concat_ws('-', f.release, f.survey, f.program, f.healpix) || ' too: '
           || (SELECT string_agg(CASE WHEN o.lake_id = f.lake_id THEN '' ELSE o.node || ':' END
                                 || o.path, ', ' ORDER BY o.path, o.file_id)
               FROM file_registry AS o
               WHERE o.state = 'live' AND o.file_id <> f.file_id
                 AND (o.product, o.release, o.survey, o.program, o.healpix)
                   = (f.product, f.release, f.survey, f.program, f.healpix)) AS fault
    FROM shared JOIN file_registry AS f USING (product, release, survey, program, healpix)
    WHERE f.state = 'live')
UPDATE file_registry AS f SET fault = judged.fault
FROM (SELECT file_id, named.fault
      FROM named FULL JOIN (SELECT file_id FROM file_registry
                            WHERE state = 'live' AND fault IS NOT NULL
                              AND ($1 IS NULL OR healpix = ANY ($1))) AS was USING (file_id)
     ) AS judged
WHERE f.file_id = judged.file_id AND f.fault IS DISTINCT FROM judged.fault
