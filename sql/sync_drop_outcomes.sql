DELETE FROM tile_outcomes WHERE lake_id = $1 AND tile <> ALL ($2)
