-- What a stage has to make in a lake: the tile, its input, and why what is there is stale. One row a
-- tile: where two files hold the same, the first by path is its input.
SELECT DISTINCT ON (input_path IS NULL, release, survey, program, healpix)
       release, survey, program, healpix, input_path, reason
FROM stage_tiles($2, $3, $4, $5)
WHERE lake_id = $1 AND state <> 'made'
ORDER BY input_path IS NULL, release, survey, program, healpix, input_path
