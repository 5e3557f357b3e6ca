-- Stage one of a resolution: files that may hold matching rows, as far as indexed columns tell.
-- A parameter that is NULL constrains nothing; a bound that is NULL keeps its file.
SELECT f.file_id, f.lake_id, f.schema_id, f.num_rows, f.num_row_groups, f.size_bytes,
       f.in_catalog AND made.ours, f.node, f.product, f.path, f.mtime_ns
FROM file_registry f
LEFT JOIN file_makings m USING (making_id)
-- in files that Bifrost wrote, name, columns and catalog are known to agree
CROSS JOIN LATERAL (SELECT coalesce(m.document ? 'version', false) AS ours) AS made
WHERE f.state = 'live'
  AND f.product = $1
  AND f.num_rows IS DISTINCT FROM 0
  -- sky: the query's cover as one multirange
  AND ($2::text IS NULL OR f.sky IS NULL OR f.sky && $2::text::int8multirange)
  -- intervals of promoted columns
  AND ($3::float8 IS NULL OR f.z_max IS NULL OR f.z_max >= $3)
  AND ($4::float8 IS NULL OR f.z_min IS NULL OR f.z_min <= $4)
  AND ($5::float8 IS NULL OR f.deltachi2_max IS NULL OR f.deltachi2_max >= $5)
  AND ($6::float8 IS NULL OR f.deltachi2_min IS NULL OR f.deltachi2_min <= $6)
  AND ($7::int8 IS NULL OR f.zwarn_max IS NULL OR f.zwarn_max >= $7)
  AND ($8::int8 IS NULL OR f.zwarn_min IS NULL OR f.zwarn_min <= $8)
  AND ($9::int8 IS NULL OR f.target_id_max IS NULL OR f.target_id_max >= $9)
  AND ($10::int8 IS NULL OR f.target_id_min IS NULL OR f.target_id_min <= $10)
  -- classes: a list in byte order
  AND ($11::text[] IS NULL OR f.spectype_max IS NULL OR f.spectype_max >= ($11)[1])
  AND ($11 IS NULL OR f.spectype_min IS NULL OR f.spectype_min <= ($11)[cardinality($11)])
  -- parts of the tile's key, which are constant in the files that Bifrost writes
  AND ($12::text[] IS NULL OR f.release IS NULL OR f.release = ANY ($12) OR NOT made.ours)
  AND ($13::text[] IS NULL OR f.survey IS NULL OR f.survey = ANY ($13) OR NOT made.ours)
  AND ($14::text[] IS NULL OR f.program IS NULL OR f.program = ANY ($14) OR NOT made.ours)
  AND ($15::int8[] IS NULL OR f.healpix IS NULL OR f.healpix = ANY ($15) OR NOT made.ours)
  -- joint occupancy: some object has the class, the quality and the redshift at once
  AND (NOT $16::bool OR NOT f.in_catalog OR NOT made.ours OR EXISTS (
        SELECT FROM file_classes c
        WHERE c.file_id = f.file_id
          AND ($11 IS NULL OR c.spectype = ANY ($11))
          AND ($17::bool IS NULL OR c.zwarn_zero = $17)
          AND ($18::int2[] IS NULL OR c.z_bins && $18)))
  -- files in which the catalog found the wanted objects
  AND ($19::int8[] IS NULL OR NOT f.in_catalog OR NOT made.ours OR f.file_id = ANY ($19))
