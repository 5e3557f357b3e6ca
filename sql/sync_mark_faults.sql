-- Names, over all lakes, the live files that share their tile with another of their product, and
-- takes the name off those that do no longer. Looks at the tiles of pixels $1; NULL = at all.
-- Of the others five are named: were all, as many files of one tile would be told as their square.
WITH shared AS (
    SELECT product, release, survey, program, healpix
    FROM file_registry
    WHERE state = 'live' AND healpix IS NOT NULL AND ($1::int4[] IS NULL OR healpix = ANY ($1))
    -- as file_registry_tile has them, which spares a table of hashes of all tiles
    GROUP BY healpix, program, survey, release, product
    HAVING count(*) > 1),
holders AS MATERIALIZED (
    SELECT f.file_id, f.lake_id, f.node, f.path, f.product, f.release, f.survey, f.program, f.healpix,
           count(*) OVER tile AS held,
           row_number() OVER (tile ORDER BY f.path, f.file_id) AS place
    FROM shared JOIN file_registry AS f USING (product, release, survey, program, healpix)
    WHERE f.state = 'live'
    WINDOW tile AS (PARTITION BY f.product, f.release, f.survey, f.program, f.healpix)),
first AS MATERIALIZED (SELECT * FROM holders WHERE place <= 6),
named AS (
    SELECT f.file_id, 'another live file holds tile '
           || concat_ws('-', f.release, f.survey, f.program, f.healpix) || ' too: '
           || string_agg(CASE WHEN o.lake_id = f.lake_id THEN '' ELSE o.node || ':' END || o.path,
                         ', ' ORDER BY o.place)
           || CASE WHEN f.held > 6 THEN format(', and %s more', f.held - 6) ELSE '' END AS fault
    FROM holders AS f JOIN first AS o
        ON (o.product, o.release, o.survey, o.program, o.healpix)
         = (f.product, f.release, f.survey, f.program, f.healpix)
       AND o.file_id <> f.file_id AND o.place <= 5 + (f.place <= 5)::int
    GROUP BY f.file_id, f.release, f.survey, f.program, f.healpix, f.held)
UPDATE file_registry AS f SET fault = judged.fault
FROM (SELECT file_id, named.fault
      FROM named FULL JOIN (SELECT file_id FROM file_registry
                            WHERE state = 'live' AND fault IS NOT NULL
                              AND ($1 IS NULL OR healpix = ANY ($1))) AS was USING (file_id)
     ) AS judged
WHERE f.file_id = judged.file_id AND f.fault IS DISTINCT FROM judged.fault
