-- The primary rows of objects of which new rows are about to come, each looked up by itself: the
-- planner would rather read the whole catalog than so many rows.
SELECT c.ctid::text, c.target_id, c.file_id, l.zwarn IS NOT DISTINCT FROM 0, c.tsnr2_lrg,
       coalesce(l.release, f.release), coalesce(l.survey, f.survey),
       coalesce(l.program, f.program), coalesce(l.healpix, f.healpix)
FROM unnest($1::int8[]) AS wanted (target_id)
CROSS JOIN LATERAL (
    SELECT r.ctid, r.* FROM catalog_rows r
    WHERE r.target_id = wanted.target_id AND r.is_primary OFFSET 0) AS c
LEFT JOIN catalog_labels l USING (label_id)
LEFT JOIN file_registry f USING (file_id)
