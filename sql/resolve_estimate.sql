-- About how many objects of the given files have the class, quality and redshift that a question
-- demands: bins that the interval cuts count by the part of them that lies in it.
SELECT coalesce(sum(CASE WHEN $4::float8 IS NULL AND $5::float8 IS NULL THEN c.num_rows ELSE (
           SELECT coalesce(sum(n * greatest(0, least(0.05 * (bin + 1), $5) - greatest(0.05 * bin, $4)) / 0.05), 0)
           FROM unnest(c.z_bins, c.z_counts) AS b (bin, n)) END), 0)::float8
FROM file_classes c
WHERE c.file_id = ANY ($1)
  AND ($2::text[] IS NULL OR c.spectype = ANY ($2))
  AND ($3::bool IS NULL OR c.zwarn_zero = $3)
