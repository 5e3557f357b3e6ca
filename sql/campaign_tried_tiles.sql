-- Tiles that runs of a lake have tried to make.
SELECT DISTINCT concat_ws('-', t.release, t.survey, t.program, t.healpix) AS tile
FROM campaign_attempts a JOIN archive_tiles t USING (tile_id)
WHERE a.lake_id = $1
