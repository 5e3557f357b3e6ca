-- Every tile of a product ($1) that some lake can serve, and whether this lake ($2) can.
SELECT release, survey, program, healpix,
       max(num_rows) AS rows,
       bool_or(lake_id = $2) AS here
FROM file_registry
WHERE state = 'live' AND product = $1 AND healpix IS NOT NULL
GROUP BY release, survey, program, healpix
ORDER BY release, survey, program, healpix
