-- Takes the rows of files out of the catalog. Where one was its object's primary row, the best of
-- the rows that stay takes its place, by the order that sync_contested.sql is judged with.
WITH gone AS (
    DELETE FROM catalog_rows WHERE file_id = ANY ($1) RETURNING target_id, is_primary),
heirs AS (
    SELECT DISTINCT ON (c.target_id) c.target_id, c.file_id, c.row_index
    FROM (SELECT DISTINCT target_id FROM gone WHERE is_primary) AS orphaned
    JOIN catalog AS c USING (target_id)
    WHERE c.file_id <> ALL ($1)
    ORDER BY c.target_id, c.zwarn IS NOT DISTINCT FROM 0 DESC, c.tsnr2_lrg DESC NULLS LAST,
             c.release, c.survey, c.program, c.healpix, c.file_id, c.row_index),
promoted AS (
    UPDATE catalog_rows AS c SET is_primary = true FROM heirs AS h
    WHERE c.target_id = h.target_id AND c.file_id = h.file_id AND c.row_index = h.row_index)
SELECT count(*) FROM gone
