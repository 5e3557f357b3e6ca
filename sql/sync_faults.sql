-- Live files of a lake with which something is wrong. What holds their tile too is named as it lies now: the
-- lake in which it is may be of this node.
SELECT f.path, coalesce('another live file holds tile ' || concat_ws('-', f.release, f.survey, f.program, f.healpix)
       || ' too: ' || string_agg(CASE WHEN o.lake_id = f.lake_id THEN ''
                                 ELSE o.node || ':' || coalesce(rtrim(l.root, '/') || '/', '') END || o.path, ', '
                                 ORDER BY o.path, o.file_id), f.fault) AS fault
FROM file_registry AS f
LEFT JOIN file_registry AS o
    ON o.state = 'live' AND o.file_id <> f.file_id
   AND (o.product, o.release, o.survey, o.program, o.healpix) = (f.product, f.release, f.survey, f.program, f.healpix)
LEFT JOIN lakes AS l ON l.lake_id = o.lake_id
WHERE f.lake_id = $1 AND f.state = 'live' AND f.fault IS NOT NULL
GROUP BY f.file_id
ORDER BY f.path
