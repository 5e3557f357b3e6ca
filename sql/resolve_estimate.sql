-- Objects of the given files with the class, quality and redshift bins that a question demands.
SELECT coalesce(sum(CASE WHEN $4::int2[] IS NULL THEN c.num_rows ELSE (
           SELECT coalesce(sum(n), 0) FROM unnest(c.z_bins, c.z_counts) AS b (bin, n)
           WHERE b.bin = ANY ($4)) END), 0)::int8
FROM file_classes c
WHERE c.file_id = ANY ($1)
  AND ($2::text[] IS NULL OR c.spectype = ANY ($2))
  AND ($3::bool IS NULL OR c.zwarn_zero = $3)
