INSERT INTO tile_outcomes (
    lake_id, product, tile, release, survey, program, healpix, outcome, reasons, advice, at, commit_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (lake_id, product, tile) DO UPDATE
SET outcome = excluded.outcome, reasons = excluded.reasons, advice = excluded.advice,
    at = excluded.at, commit_id = excluded.commit_id
