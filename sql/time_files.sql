-- What resolve_files.sql cannot say of a commit: files that were live then and have gone, or come into the
-- catalog or out of it, since. With the columns of resolve_rows.sql, and how to find those that are gone.
-- Few ask this, so it is written to be read, and planned for its parameters.
--
-- What was not known then must not narrow: cells and objects count where the catalog held the file,
-- and Bifrost wrote it.
WITH located AS (
    SELECT c.file_id, array_agg(c.row_index) AS located
    FROM unnest(:objects::int8[]) AS wanted (target_id) JOIN catalog_rows c USING (target_id)
    GROUP BY c.file_id),
known AS (
    SELECT f.*, coalesce(n.cells, p.cells) AS cells, coalesce(n.ends, p.ends) AS ends, o.located,
           coalesce(f.cataloged_commit, 0) <= :commit::int8
               AND coalesce(f.uncataloged_commit > :commit::int8, true) AS was_cataloged
    FROM files_as_of(:commit::int8) f
    LEFT JOIN file_cells n ON n.file_id = f.file_id
    LEFT JOIN past_cells p ON p.file_id = f.file_id
    LEFT JOIN located o ON o.file_id = f.file_id
    WHERE f.product = :product::text
      AND greatest(f.removed_commit, f.quarantined_commit, f.cataloged_commit, f.uncataloged_commit) > :commit::int8)
SELECT f.file_id, f.lake_id, f.schema_id, f.num_rows, f.num_row_groups, f.size_bytes, f.mtime_ns,
       f.has_cells, f.product, f.path, f.promoted,
       CASE WHEN f.is_ours AND f.was_cataloged THEN f.cells END AS cells,
       CASE WHEN f.is_ours AND f.was_cataloged THEN f.ends END AS ends,
       f.release, f.survey, f.program, f.healpix, f.is_ours, f.added_commit AS as_is_since,
       CASE WHEN f.has_cells AND f.was_cataloged THEN f.located END AS located,
       f.inode, least(f.removed_commit, f.quarantined_commit) AS ended_commit, f.state
FROM known f
WHERE f.num_rows <> 0
  -- cells and objects lead to their files without a look at bounds, now as then
  AND (false
    OR f.is_ours AND f.was_cataloged  --? cells objects files
    OR (:cover::text::int8multirange IS NULL OR f.sky IS NULL OR f.sky && :cover::text::int8multirange)
    AND (:area::text::int8multirange IS NULL OR f.sky IS NULL OR f.sky && :area::text::int8multirange OR NOT f.is_ours)
    AND (:bricks::text::int8multirange IS NULL OR f.off_brick IS DISTINCT FROM 0 OR f.sky IS NULL
      OR f.sky && :bricks::text::int8multirange
      OR (f.target_id_max IS NULL OR f.target_id_max >= :brickless_first::int8)
      AND (f.target_id_min IS NULL OR f.target_id_min <= :brickless_last::int8))
    AND (:z_first::float8 IS NULL OR f.z_max IS NULL OR f.z_max >= :z_first::float8)
    AND (:z_last::float8 IS NULL OR f.z_min IS NULL OR f.z_min <= :z_last::float8)
    AND (:deltachi2_first::float8 IS NULL OR f.deltachi2_max IS NULL OR f.deltachi2_max >= :deltachi2_first::float8)
    AND (:deltachi2_last::float8 IS NULL OR f.deltachi2_min IS NULL OR f.deltachi2_min <= :deltachi2_last::float8)
    AND (:zwarn_first::int8 IS NULL OR f.zwarn_max IS NULL OR f.zwarn_max >= :zwarn_first::int8)
    AND (:zwarn_last::int8 IS NULL OR f.zwarn_min IS NULL OR f.zwarn_min <= :zwarn_last::int8)
    AND (:target_id_first::int8 IS NULL OR f.target_id_max IS NULL OR f.target_id_max >= :target_id_first::int8)
    AND (:target_id_last::int8 IS NULL OR f.target_id_min IS NULL OR f.target_id_min <= :target_id_last::int8)
    AND (:spectypes::text[] IS NULL OR f.spectype_max IS NULL OR f.spectype_max >= (:spectypes::text[])[1])
    AND (:spectypes::text[] IS NULL OR f.spectype_min IS NULL OR f.spectype_min <= (:spectypes::text[])[cardinality(:spectypes::text[])])
    AND (:releases::text[] IS NULL OR f.release IS NULL OR f.release = ANY (:releases::text[]) OR NOT f.is_ours)
    AND (:surveys::text[] IS NULL OR f.survey IS NULL OR f.survey = ANY (:surveys::text[]) OR NOT f.is_ours)
    AND (:programs::text[] IS NULL OR f.program IS NULL OR f.program = ANY (:programs::text[]) OR NOT f.is_ours)
    AND (:healpixes::int8[] IS NULL OR f.healpix IS NULL OR f.healpix = ANY (:healpixes::int8[]) OR NOT f.is_ours)
  )
  AND (:objects::int8[] IS NULL OR NOT (f.has_cells AND f.was_cataloged) OR f.located IS NOT NULL)
  AND (:files::int8[] IS NULL OR NOT (f.has_cells AND f.was_cataloged) OR f.file_id = ANY (:files::int8[]))
  AND (:cells::int2[] IS NULL OR f.cells IS NULL OR NOT (f.is_ours AND f.was_cataloged) OR f.cells && :cells::int2[])
