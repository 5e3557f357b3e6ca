-- resolve_files.sql as of a commit ($17): the same columns, and of files that are live no longer how
-- to find them. Few ask this, so it is written to be read, and planned for its parameters.
--
-- What was not known then must not narrow: cells and objects count where the catalog held the file,
-- and Bifrost wrote it.
WITH located AS (
    SELECT c.file_id, array_agg(c.row_index) AS located
    FROM unnest($16::int8[]) AS wanted (target_id) JOIN catalog_rows c USING (target_id)
    GROUP BY c.file_id),
known AS (
    SELECT f.*, coalesce(n.cells, p.cells) AS cells, o.located,
           coalesce(f.cataloged_commit, 0) <= $17 AS was_cataloged
    FROM files_as_of($17) f
    LEFT JOIN file_cells n ON n.file_id = f.file_id
    LEFT JOIN past_cells p ON p.file_id = f.file_id
    LEFT JOIN located o ON o.file_id = f.file_id
    WHERE f.product = $1)
SELECT NULL::int8 AS file_id, NULL::uuid AS lake_id, NULL::int4 AS schema_id,
       NULL::int8 AS num_rows, NULL::int4 AS num_row_groups, $17::int8 AS size_bytes,
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
  AND ($2::text::int8multirange IS NULL OR f.sky IS NULL OR f.sky && $2::text::int8multirange)
  AND ($3::float8 IS NULL OR f.z_max IS NULL OR f.z_max >= $3)
  AND ($4::float8 IS NULL OR f.z_min IS NULL OR f.z_min <= $4)
  AND ($5::float8 IS NULL OR f.deltachi2_max IS NULL OR f.deltachi2_max >= $5)
  AND ($6::float8 IS NULL OR f.deltachi2_min IS NULL OR f.deltachi2_min <= $6)
  AND ($7::int8 IS NULL OR f.zwarn_max IS NULL OR f.zwarn_max >= $7)
  AND ($8::int8 IS NULL OR f.zwarn_min IS NULL OR f.zwarn_min <= $8)
  AND ($9::int8 IS NULL OR f.target_id_max IS NULL OR f.target_id_max >= $9)
  AND ($10::int8 IS NULL OR f.target_id_min IS NULL OR f.target_id_min <= $10)
  AND ($11::text[] IS NULL OR f.spectype_max IS NULL OR f.spectype_max >= ($11)[1])
  AND ($11 IS NULL OR f.spectype_min IS NULL OR f.spectype_min <= ($11)[cardinality($11)])
  AND ($12::text[] IS NULL OR f.release IS NULL OR f.release = ANY ($12) OR NOT f.is_ours)
  AND ($13::text[] IS NULL OR f.survey IS NULL OR f.survey = ANY ($13) OR NOT f.is_ours)
  AND ($14::text[] IS NULL OR f.program IS NULL OR f.program = ANY ($14) OR NOT f.is_ours)
  AND ($15::int8[] IS NULL OR f.healpix IS NULL OR f.healpix = ANY ($15) OR NOT f.is_ours)
  AND ($16 IS NULL OR NOT (f.has_cells AND f.was_cataloged) OR f.located IS NOT NULL)
  AND ($18::int2[] IS NULL OR f.cells IS NULL OR NOT (f.is_ours AND f.was_cataloged) OR f.cells && $18)
