-- A resolution: the numbers of the files that may hold matching rows, of which registry and as of
-- which commit. One row, one snapshot. A number may come twice; a file that has a row_index of NULL
-- may hold the objects anywhere.
--
-- A line that ends in words behind a question mark is left out unless the question demands one of
-- these; one of product, sky, area, tile, cells, objects and files is the way, the index that leads to
-- the files.
-- What the program can judge by what it remembers of a file it judges itself: a row that is looked up
-- here costs more. A bound that is NULL keeps its file.
SELECT (SELECT registry_id FROM registry_identity) AS registry_id,
       (SELECT coalesce(max(commit_id), 0) FROM commits) AS commit_id,
       array_agg(w.file_id) AS file_ids,
       array_agg(w.row_index) AS row_indexes  --? objects
       NULL::int4[] AS row_indexes  --? product sky area tile cells files
FROM (
    -- joint occupancy: some object has the class, the quality and the redshift at once
    SELECT x.file_id, NULL::int4 AS row_index FROM file_cells x WHERE x.cells && :cells::int2[]  --? cells
    -- where the catalog knows the objects
    SELECT c.file_id, c.row_index FROM catalog_rows c WHERE c.target_id = ANY (:objects::int8[])  --? objects
      AND (:cells::int2[] IS NULL OR EXISTS (  --? objects
            SELECT FROM file_cells x WHERE x.file_id = c.file_id AND x.cells && :cells::int2[]))  --? objects
    -- files that are known to hold wanted objects
    SELECT unnest(:files::int8[]) AS file_id, NULL::int4 AS row_index  --? files
    UNION ALL  --? cells objects files
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
      AND NOT f.has_cells  --? cells objects files
      AND f.is_ours AND (f.healpix = ANY (:healpixes::int8[]) OR f.healpix IS NULL)  --? tile
      AND f.is_ours AND (f.sky && :area::text::int8multirange OR f.sky IS NULL)  --? area
      AND (f.sky && :area::text::int8multirange OR f.sky IS NULL OR NOT f.is_ours)  --? within
      -- the cover as one multirange
      AND (f.sky && :cover::text::int8multirange OR f.sky IS NULL)  --? cover
      -- ids that name their bricks, and in whose files they do not lie
      AND (f.off_brick IS DISTINCT FROM 0 OR f.sky IS NULL OR f.sky && :bricks::text::int8multirange  --? bricks
        OR (f.target_id_max IS NULL OR f.target_id_max >= :brickless_first::int8)  --? brickless
        AND (f.target_id_min IS NULL OR f.target_id_min <= :brickless_last::int8)  --? brickless
      )  --? bricks
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
