-- Tiles of a lake that its spectra stores lack, or hold as they are no longer. Without an input path: the
-- file is gone that a group was made of.
-- $1 lake, $2 version of the stage.
SELECT healpix, release, survey, program, input_path, reason
FROM store_tiles($2)
WHERE lake_id = $1 AND state <> 'made'
ORDER BY healpix, release, survey, program
