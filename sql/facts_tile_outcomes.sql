-- Tiles that could not be made, in every lake; at most $1.
SELECT lake_id, tile, outcome, reasons, advice, at, count(*) OVER () AS total
FROM tile_outcomes
ORDER BY lake_id, tile
LIMIT $1
