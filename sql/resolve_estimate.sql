-- About how many objects of the given files have the class, quality and redshift that a question
-- demands. A bin counts by the part of it that lies in the interval. The first and the last bin of a
-- class end where the class does, at an object, towards which the others become fewer.
SELECT coalesce(sum(CASE WHEN $4::float8 IS NULL AND $5::float8 IS NULL THEN c.num_rows ELSE (
           SELECT coalesce(sum(CASE WHEN share >= 1 THEN n
                                    WHEN has_end THEN 1 + (n - 1) * share * share
                                    ELSE n * share END), 0)
           FROM unnest(c.z_bins, c.z_counts) AS b (bin, n)
           CROSS JOIN LATERAL (
               SELECT bin = c.z_bins[1], bin = c.z_bins[cardinality(c.z_bins)]) AS i (is_first, is_last)
           CROSS JOIN LATERAL (
               SELECT CASE WHEN is_first THEN c.z_min ELSE 0.05 * bin END,
                      CASE WHEN is_last THEN c.z_max ELSE 0.05 * (bin + 1) END) AS e (first, last)
           CROSS JOIN LATERAL (
               SELECT is_first AND first BETWEEN coalesce($4, first) AND coalesce($5, first)
                   OR is_last AND last BETWEEN coalesce($4, last) AND coalesce($5, last),
                      CASE WHEN last > first
                           THEN greatest(0, least(last, $5) - greatest(first, $4)) / (last - first)
                           ELSE (first BETWEEN coalesce($4, first) AND coalesce($5, first))::integer
                      END) AS s (has_end, share)) END), 0)::float8
FROM file_classes c
WHERE c.file_id = ANY ($1)
  AND ($2::text[] IS NULL OR c.spectype = ANY ($2))
  AND ($3::bool IS NULL OR c.zwarn_zero = $3)
