-- Live files that share their tile with another: the first $1 of them, and how many there are.
SELECT f.node || ':' || rtrim(l.root, '/') || '/' || f.path AS file,
       concat_ws('-', f.release, f.survey, f.program, f.healpix) AS tile, count(*) OVER () AS files
FROM file_registry AS f JOIN lakes AS l USING (lake_id)
WHERE f.state = 'live' AND f.fault IS NOT NULL
ORDER BY f.healpix, f.product, f.release, f.survey, f.program, f.node, l.root, f.path
LIMIT $1
