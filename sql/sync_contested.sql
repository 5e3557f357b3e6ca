-- The primary rows of objects of which new rows are about to come.
SELECT target_id, zwarn IS NOT DISTINCT FROM 0, tsnr2_lrg, release, survey, program, healpix
FROM catalog
WHERE is_primary AND target_id = ANY ($1)
