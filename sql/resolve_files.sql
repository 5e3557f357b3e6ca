-- A resolution: the numbers of the files that may hold matching rows, of which registry and as of
-- which commit. One row, one snapshot. A number may come twice; a file that has a row_index of NULL
-- may hold the objects anywhere.
--
-- A line that ends in words behind a question mark is left out unless the question demands one of
<<<<<<< HEAD
-- these; one of product, sky, area, tile, cells and objects is the way, the index that leads to the files.
-- What that does not narrow, the conditions below do.
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
    SELECT f.*, NULL::int4[] AS located FROM file_registry f WHERE f.state = 'live'  --? product
    -- sky: the cover as one multirange
    SELECT f.*, NULL::int4[] AS located FROM file_registry f  --? sky
    WHERE f.state = 'live' AND (f.sky && :cover::text::int8multirange OR f.sky IS NULL)  --? sky
    -- a box of right ascension and declination, the same way
    SELECT f.*, NULL::int4[] AS located FROM file_registry f  --? area
    WHERE f.state = 'live' AND f.is_ours AND (f.sky && :area::text::int8multirange OR f.sky IS NULL)  --? area
    -- pixels of tiles
    SELECT f.*, NULL::int4[] AS located FROM file_registry f  --? tile
    WHERE f.state = 'live' AND f.is_ours  --? tile
      AND (f.healpix = ANY (:healpixes::int8[]) OR f.healpix IS NULL)  --? tile
    -- joint occupancy: some object has the class, the quality and the redshift at once
    SELECT f.*, NULL::int4[] AS located FROM file_cells x JOIN file_registry f USING (file_id)  --? cells
    WHERE x.cells && :cells::int2[] AND f.state = 'live' AND f.has_cells  --? cells
    -- where the catalog knows the objects, with their rows
    SELECT f.*, o.located  --? objects
    FROM (SELECT c.file_id, array_agg(c.row_index) AS located  --? objects
          FROM unnest(:objects::int8[]) AS wanted (target_id)  --? objects
          JOIN catalog_rows c USING (target_id)  --? objects
          GROUP BY c.file_id) AS o  --? objects
    JOIN file_registry f USING (file_id)  --? objects
    WHERE f.state = 'live' AND f.has_cells  --? objects
    -- of these cells and objects are not known, and their names may lie
    UNION ALL  --? area tile cells objects
    SELECT f.*, NULL FROM file_registry f  --? area tile cells objects
    WHERE f.state = 'live' AND NOT f.has_cells AND f.product = :product::text  --? area tile cells objects
      AND NOT f.is_ours  --? area tile
) AS f
WHERE f.product = :product::text
  AND f.num_rows IS DISTINCT FROM 0
  AND (f.sky IS NULL OR f.sky && :cover::text::int8multirange)  --? cover
  AND (f.sky IS NULL OR f.sky && :area::text::int8multirange OR NOT f.is_ours)  --? within
  -- intervals of promoted columns
  AND (f.z_max IS NULL OR f.z_max >= :z_first::float8)  --? z_first
  AND (f.z_min IS NULL OR f.z_min <= :z_last::float8)  --? z_last
  AND (f.deltachi2_max IS NULL OR f.deltachi2_max >= :deltachi2_first::float8)  --? deltachi2_first
  AND (f.deltachi2_min IS NULL OR f.deltachi2_min <= :deltachi2_last::float8)  --? deltachi2_last
  AND (f.zwarn_max IS NULL OR f.zwarn_max >= :zwarn_first::int8)  --? zwarn_first
  AND (f.zwarn_min IS NULL OR f.zwarn_min <= :zwarn_last::int8)  --? zwarn_last
  AND (f.target_id_max IS NULL OR f.target_id_max >= :target_id_first::int8)  --? target_id_first
  AND (f.target_id_min IS NULL OR f.target_id_min <= :target_id_last::int8)  --? target_id_last
  -- classes: a list in byte order
  AND (f.spectype_max IS NULL OR f.spectype_max >= (:spectypes::text[])[1])  --? spectypes
  AND (f.spectype_min IS NULL OR f.spectype_min <= (:spectypes::text[])[cardinality(:spectypes::text[])])  --? spectypes
  -- parts of the tile's key, which are constant in the files that Bifrost writes
  AND (f.release IS NULL OR f.release = ANY (:releases::text[]) OR NOT f.is_ours)  --? releases
  AND (f.survey IS NULL OR f.survey = ANY (:surveys::text[]) OR NOT f.is_ours)  --? surveys
  AND (f.program IS NULL OR f.program = ANY (:programs::text[]) OR NOT f.is_ours)  --? programs
  AND (f.healpix IS NULL OR f.healpix = ANY (:healpixes::int8[]) OR NOT f.is_ours)  --? healpixes
  AND (NOT f.has_cells OR EXISTS (  --? occupied
        SELECT FROM file_cells x WHERE x.file_id = f.file_id AND x.cells && :cells::int2[]))  --? occupied
=======
-- these; one of product, sky, area, tile, cells and objects is the way, the index that leads to the files.
-- What the program can judge by what it remembers of a file it judges itself: a row that is looked up
-- here costs more. A bound that is NULL keeps its file.
SELECT (SELECT registry_id FROM registry_identity) AS registry_id,
       (SELECT coalesce(max(commit_id), 0) FROM commits) AS commit_id,
       array_agg(w.file_id) AS file_ids,
       array_agg(w.row_index) AS row_indexes  --? objects
       NULL::int4[] AS row_indexes  --? product sky area tile cells
FROM (
    -- joint occupancy: some object has the class, the quality and the redshift at once
    SELECT x.file_id, NULL::int4 AS row_index FROM file_cells x WHERE x.cells && :cells::int2[]  --? cells
    -- where the catalog knows the objects
    SELECT c.file_id, c.row_index FROM catalog_rows c WHERE c.target_id = ANY (:objects::int8[])  --? objects
      AND (:cells::int2[] IS NULL OR EXISTS (  --? objects
            SELECT FROM file_cells x WHERE x.file_id = c.file_id AND x.cells && :cells::int2[]))  --? objects
    UNION ALL  --? cells objects
    -- pixels of tiles, boxes of positions; names and numbers in files that others wrote may lie
    SELECT f.file_id, NULL::int4 AS row_index  --? area tile
    FROM file_registry f  --? area tile
    WHERE f.state = 'live' AND NOT f.has_cells AND f.product = :product::text AND NOT f.is_ours  --? area tile
    UNION ALL  --? area tile
    SELECT f.file_id, NULL::int4 AS row_index
    FROM file_registry f
    WHERE f.state = 'live'
      AND f.product = :product::text
      AND f.num_rows IS DISTINCT FROM 0
      -- of these cells and objects are not known
      AND NOT f.has_cells  --? cells objects
      AND f.is_ours AND (f.healpix = ANY (:healpixes::int8[]) OR f.healpix IS NULL)  --? tile
      AND f.is_ours AND (f.sky && :area::text::int8multirange OR f.sky IS NULL)  --? area
      AND (f.sky && :area::text::int8multirange OR f.sky IS NULL OR NOT f.is_ours)  --? within
      -- the cover as one multirange
      AND (f.sky && :cover::text::int8multirange OR f.sky IS NULL)  --? cover
      -- intervals of promoted columns
      AND (f.z_max IS NULL OR f.z_max >= :z_first::float8)  --? z_first
      AND (f.z_min IS NULL OR f.z_min <= :z_last::float8)  --? z_last
      AND (f.deltachi2_max IS NULL OR f.deltachi2_max >= :deltachi2_first::float8)  --? deltachi2_first
      AND (f.deltachi2_min IS NULL OR f.deltachi2_min <= :deltachi2_last::float8)  --? deltachi2_last
      AND (f.zwarn_max IS NULL OR f.zwarn_max >= :zwarn_first::int8)  --? zwarn_first
      AND (f.zwarn_min IS NULL OR f.zwarn_min <= :zwarn_last::int8)  --? zwarn_last
      AND (f.target_id_max IS NULL OR f.target_id_max >= :target_id_first::int8)  --? target_id_first
      AND (f.target_id_min IS NULL OR f.target_id_min <= :target_id_last::int8)  --? target_id_last
      -- classes: a list in byte order
      AND (f.spectype_max IS NULL OR f.spectype_max >= (:spectypes::text[])[1])  --? spectypes
      AND (f.spectype_min IS NULL OR f.spectype_min <= (:spectypes::text[])[cardinality(:spectypes::text[])])  --? spectypes
      -- parts of the tile's key, which are constant in the files that Bifrost writes
      AND (f.release IS NULL OR f.release = ANY (:releases::text[]) OR NOT f.is_ours)  --? releases
      AND (f.survey IS NULL OR f.survey = ANY (:surveys::text[]) OR NOT f.is_ours)  --? surveys
      AND (f.program IS NULL OR f.program = ANY (:programs::text[]) OR NOT f.is_ours)  --? programs
      AND (f.healpix IS NULL OR f.healpix = ANY (:healpixes::int8[]) OR NOT f.is_ours)  --? healpixes
      AND (NOT f.has_cells OR EXISTS (  --? occupied
            SELECT FROM file_cells x WHERE x.file_id = f.file_id AND x.cells && :cells::int2[]))  --? occupied
) AS w
>>>>>>> 206ba9205f230458cd05ceb154b7f1cfe6b73a35
