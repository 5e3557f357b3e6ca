-- Tiles that could not be made, in every lake; at most $1.
SELECT lake_id, product, tile, outcome, reasons, advice, at, count(*) OVER () AS total
FROM tile_outcomes
ORDER BY lake_id, product, tile
LIMIT $1
