-- Tiles whose last try failed; $2 = of one outcome.
SELECT tile_id, tile, state, outcome, retry_at, node, ended_at, error FROM failures
WHERE release = $1 AND ($2::text IS NULL OR outcome = $2)
ORDER BY outcome, survey, program, healpix
