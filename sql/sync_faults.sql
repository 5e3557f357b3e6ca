-- Live files of a lake with which something is wrong. What holds their tile too is named as it lies now: the
-- lake in which it is may be of this node. Five are named, as in sync_mark_faults.
WITH faulty AS MATERIALIZED (
    SELECT * FROM file_registry WHERE lake_id = $1 AND state = 'live' AND fault IS NOT NULL),
tiles AS (SELECT DISTINCT product, release, survey, program, healpix FROM faulty WHERE healpix IS NOT NULL),
holders AS MATERIALIZED (
    SELECT o.file_id, o.lake_id, o.node, o.path, o.product, o.release, o.survey, o.program, o.healpix,
           count(*) OVER tile AS held,
           row_number() OVER (tile ORDER BY o.path, o.file_id) AS place
    FROM tiles JOIN file_registry AS o USING (product, release, survey, program, healpix)
    WHERE o.state = 'live'
    WINDOW tile AS (PARTITION BY o.product, o.release, o.survey, o.program, o.healpix)),
named AS (
    SELECT f.file_id, 'another live file holds tile ' || concat_ws('-', f.release, f.survey, f.program, f.healpix)
           || ' too: ' || string_agg(CASE WHEN o.lake_id = f.lake_id THEN ''
                                     ELSE o.node || ':' || coalesce(rtrim(l.root, '/') || '/', '') END || o.path, ', '
                                     ORDER BY o.place)
           || CASE WHEN f.held > 6 THEN format(', and %s more', f.held - 6) ELSE '' END AS fault
    FROM holders AS f JOIN (SELECT * FROM holders WHERE place <= 6) AS o
        ON (o.product, o.release, o.survey, o.program, o.healpix)
         = (f.product, f.release, f.survey, f.program, f.healpix)
       AND o.file_id <> f.file_id AND o.place <= 5 + (f.place <= 5)::int
    LEFT JOIN lakes AS l ON l.lake_id = o.lake_id
    WHERE f.lake_id = $1
    GROUP BY f.file_id, f.release, f.survey, f.program, f.healpix, f.held)
SELECT f.path, coalesce(n.fault, f.fault) AS fault
FROM faulty AS f LEFT JOIN named AS n USING (file_id)
ORDER BY f.path
