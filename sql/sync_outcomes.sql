SELECT product, tile, outcome, reasons, advice, at FROM tile_outcomes WHERE lake_id = $1
ORDER BY product, tile
