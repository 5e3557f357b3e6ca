-- resolve_files.sql as of a commit: the same columns, and of files that are live no longer how
-- to find them. Few ask this, so it is written to be read, and planned for its parameters.
--
-- What was not known then must not narrow: cells and objects count where the catalog held the file,
-- and Bifrost wrote it.
WITH located AS (
    SELECT c.file_id, array_agg(c.row_index) AS located
    FROM unnest(:objects::int8[]) AS wanted (target_id) JOIN catalog_rows c USING (target_id)
    GROUP BY c.file_id),
known AS (
    SELECT f.*, coalesce(n.cells, p.cells) AS cells, o.located,
           coalesce(f.cataloged_commit, 0) <= :commit::int8 AS was_cataloged
    FROM files_as_of(:commit::int8) f
    LEFT JOIN file_cells n ON n.file_id = f.file_id
    LEFT JOIN past_cells p ON p.file_id = f.file_id
    LEFT JOIN located o ON o.file_id = f.file_id
    WHERE f.product = :product::text)
SELECT NULL::int8 AS file_id, NULL::uuid AS lake_id, NULL::int4 AS schema_id,
       NULL::int8 AS num_rows, NULL::int4 AS num_row_groups, :commit::int8 AS size_bytes,
       NULL::int8 AS mtime_ns, NULL::bool AS has_cells, NULL::text AS node,
       (SELECT coalesce(json_agg(json_build_object('lake_id', l.lake_id, 'root', l.root, 'uri_prefixes', n.uri_prefixes)), '[]')
        FROM lakes l JOIN nodes n USING (node))::text AS path,
       NULL::bytea AS promoted, NULL::int4[] AS located,
       NULL::int8 AS inode, NULL::int8 AS ended_commit, NULL::text AS state
UNION ALL
SELECT f.file_id, f.lake_id, f.schema_id, f.num_rows, f.num_row_groups, f.size_bytes, f.mtime_ns,
       f.has_cells, f.node, f.path, f.promoted,
       CASE WHEN f.has_cells AND f.was_cataloged THEN f.located END,
       f.inode, least(f.removed_commit, f.quarantined_commit), f.state
FROM known f
WHERE f.num_rows <> 0
  AND (:cover::text::int8multirange IS NULL OR f.sky IS NULL OR f.sky && :cover::text::int8multirange)
  AND (:area::text::int8multirange IS NULL OR f.sky IS NULL OR f.sky && :area::text::int8multirange OR NOT f.is_ours)
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
  AND (:objects::int8[] IS NULL OR NOT (f.has_cells AND f.was_cataloged) OR f.located IS NOT NULL)
  AND (:cells::int2[] IS NULL OR f.cells IS NULL OR NOT (f.is_ours AND f.was_cataloged) OR f.cells && :cells::int2[])
