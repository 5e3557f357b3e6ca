-- About how many objects of the given files have the class, quality and redshift that a question
-- demands: a bin counts by the part of it that lies in the interval, and ends where the class does.
SELECT coalesce(sum(CASE WHEN $4::float8 IS NULL AND $5::float8 IS NULL THEN c.num_rows ELSE (
           SELECT coalesce(sum(CASE WHEN last <= first THEN n * (first BETWEEN coalesce($4, first) AND coalesce($5, first))::integer
                                    ELSE n * greatest(0, least(last, $5) - greatest(first, $4)) / (last - first) END), 0)
           FROM unnest(c.z_bins, c.z_counts) AS b (bin, n)
           CROSS JOIN LATERAL (SELECT CASE WHEN bin = c.z_bins[1] THEN c.z_min ELSE 0.05 * bin END,
                                      CASE WHEN bin = c.z_bins[cardinality(c.z_bins)] THEN c.z_max
                                           ELSE 0.05 * (bin + 1) END) AS e (first, last)) END), 0)::float8
FROM file_classes c
WHERE c.file_id = ANY ($1)
  AND ($2::text[] IS NULL OR c.spectype = ANY ($2))
  AND ($3::bool IS NULL OR c.zwarn_zero = $3)
