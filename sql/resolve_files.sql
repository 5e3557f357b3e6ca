-- A resolution: the files that may hold matching rows, and before them one row (file_id NULL) that
-- has the commit of which this is (size_bytes) and the lakes (path, JSON). One statement sees one
-- snapshot. A parameter that is NULL constrains nothing; a bound that is NULL keeps its file.
--
-- $17 says which index leads to the files; the other branches cost nothing. What it does not
-- narrow, the conditions below do.
SELECT NULL::int8 AS file_id, NULL::uuid AS lake_id, NULL::int4 AS schema_id,
       NULL::int8 AS num_rows, NULL::int4 AS num_row_groups,
       (SELECT coalesce(max(commit_id), 0) FROM commits) AS size_bytes, NULL::int8 AS mtime_ns,
       NULL::bool AS has_cells, NULL::text AS node,
       (SELECT coalesce(json_agg(json_build_object('lake_id', l.lake_id, 'root', l.root, 'uri_prefixes', n.uri_prefixes)), '[]')
        FROM lakes l JOIN nodes n USING (node))::text AS path,
       NULL::bytea AS promoted, NULL::int4[] AS located
UNION ALL
SELECT f.file_id, f.lake_id, f.schema_id, f.num_rows, f.num_row_groups, f.size_bytes, f.mtime_ns,
       f.has_cells, f.node, f.path, f.promoted, f.located
FROM (
    -- every file of the product
    SELECT f.*, NULL::int4[] AS located
    FROM file_registry f
    WHERE $17::text = 'product' AND f.state = 'live' AND f.product = $1
    UNION ALL
    -- sky: the cover as one multirange
    SELECT f.*, NULL
    FROM file_registry f
    WHERE $17 = 'sky' AND f.state = 'live' AND (f.sky && $2::text::int8multirange OR f.sky IS NULL)
    UNION ALL
    -- pixels of tiles
    SELECT f.*, NULL
    FROM file_registry f
    WHERE $17 = 'tile' AND f.state = 'live' AND f.is_ours
      AND (f.healpix = ANY ($15::int8[]) OR f.healpix IS NULL)
    UNION ALL
    -- joint occupancy: some object has the class, the quality and the redshift at once
    SELECT f.*, NULL
    FROM file_cells x
    JOIN file_registry f USING (file_id)
    WHERE $17 = 'cells' AND x.cells && $16::int2[] AND f.state = 'live' AND f.has_cells
    UNION ALL
    -- where the catalog knows the objects, with their rows
    SELECT f.*, o.located
    FROM (SELECT c.file_id, array_agg(c.row_index) AS located
          FROM unnest($18::int8[]) AS wanted (target_id)
          JOIN catalog_rows c USING (target_id)
          WHERE $17 = 'objects'
          GROUP BY c.file_id) AS o
    JOIN file_registry f USING (file_id)
    WHERE f.state = 'live' AND f.has_cells
    UNION ALL
    -- of these cells and objects are not known, and their names may lie
    SELECT f.*, NULL
    FROM file_registry f
    WHERE $17 IN ('cells', 'objects', 'tile') AND f.state = 'live' AND NOT f.has_cells
      AND f.product = $1 AND NOT ($17 = 'tile' AND f.is_ours)
) AS f
WHERE f.product = $1
  AND f.num_rows IS DISTINCT FROM 0
  AND ($2 IS NULL OR $17 = 'sky' OR f.sky IS NULL OR f.sky && $2::int8multirange)
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
  AND ($12::text[] IS NULL OR f.release IS NULL OR f.release = ANY ($12) OR NOT f.is_ours)
  AND ($13::text[] IS NULL OR f.survey IS NULL OR f.survey = ANY ($13) OR NOT f.is_ours)
  AND ($14::text[] IS NULL OR f.program IS NULL OR f.program = ANY ($14) OR NOT f.is_ours)
  AND ($15 IS NULL OR f.healpix IS NULL OR f.healpix = ANY ($15) OR NOT f.is_ours)
  AND ($16 IS NULL OR $17 = 'cells' OR NOT f.has_cells OR EXISTS (
        SELECT FROM file_cells x WHERE x.file_id = f.file_id AND x.cells && $16))
