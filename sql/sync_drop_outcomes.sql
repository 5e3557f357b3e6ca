DELETE FROM tile_outcomes
WHERE lake_id = $1 AND (product, tile) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))
