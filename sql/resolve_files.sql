-- A resolution: the numbers of the files that may hold matching rows, of which registry and as of
-- which commit. One row, one snapshot. A number may come twice; a file that has a row_index of NULL
-- may hold the objects anywhere.
--
-- A line that ends in words behind a question mark is left out unless the question demands one of
-- these; one of product, sky, area, tile, cells, objects, cataloged and files is the way, the index that
-- leads to the files. cataloged is objects where the catalog is thought to know all files; if it does
-- not, the answer says that it is not whole.
-- What the program can judge by what it remembers of a file it judges itself: a row that is looked up
-- here costs more. A bound that is NULL keeps its file.
SELECT (SELECT registry_id FROM registry_identity) AS registry_id,
       (SELECT coalesce(max(commit_id), 0) FROM commits) AS commit_id,
       array_agg(w.file_id) AS file_ids,
       array_agg(w.row_index) AS row_indexes,  --? objects cataloged
       NULL::int4[] AS row_indexes,  --? product sky area tile cells files
       NOT EXISTS (  --? objects cataloged
           SELECT FROM file_registry f  --? objects cataloged
           WHERE f.state = 'live' AND NOT f.has_cells AND f.product = :product::text  --? objects cataloged
       ) AS is_cataloged  --? objects cataloged
       NULL::boolean AS is_cataloged  --? product sky area tile cells files
FROM (
    -- joint occupancy: some object has the class, the quality and the redshift at once
    SELECT x.file_id, NULL::int4 AS row_index FROM file_cells x WHERE x.cells && :cells::int2[]  --? cells
        AND x.cells && :release_cells::int2[]  --? cells_of_releases
    -- where the catalog knows the objects
    SELECT c.file_id, c.row_index FROM catalog_rows c WHERE c.target_id = ANY (:objects::int8[])  --? objects cataloged
    -- files that are known to hold wanted objects
    SELECT unnest(:files::int8[]) AS file_id, NULL::int4 AS row_index  --? files
    UNION ALL  --? cells objects files
    -- names and numbers in files that others wrote may lie
    SELECT f.file_id, NULL::int4 AS row_index  --? area tile
    FROM file_registry f  --? area tile
    WHERE f.state = 'live' AND NOT f.has_cells AND f.product = :product::text AND NOT f.is_ours  --? area tile
    UNION ALL  --? area tile
    -- files of no tile, and those that have rows beyond the pixel of their tile
    SELECT f.file_id, NULL::int4 AS row_index  --? sky area
    FROM file_registry f  --? sky area
    WHERE f.state = 'live' AND f.product = :product::text AND f.sky && :near::text::int8multirange  --? sky area
      AND (f.healpix IS NULL OR NOT f.sky <@ int8range(f.healpix::int8 << 46, (f.healpix::int8 + 1) << 46))  --? sky area
    UNION ALL  --? sky area
    SELECT f.file_id, NULL::int4 AS row_index  --? sky area
    FROM file_registry f  --? sky area
    WHERE f.state = 'live' AND f.product = :product::text AND f.sky IS NULL  --? sky area
    UNION ALL  --? sky area
    -- tiles in runs of pixels; OFFSET makes it a look-up for each run
    SELECT f.file_id, NULL::int4 AS row_index  --? sky area
    FROM unnest(:pixels_first::int4[], :pixels_last::int4[]) AS p (first, last), LATERAL (  --? sky area
        SELECT f.file_id FROM file_registry f  --? sky area
        WHERE f.state = 'live' AND f.product = :product::text AND f.is_ours AND f.healpix BETWEEN p.first AND p.last  --? sky area
          AND f.release = ANY (:releases::text[])  --? near_releases
          AND f.survey = ANY (:surveys::text[])  --? near_surveys
          AND f.program = ANY (:programs::text[])  --? near_programs
        OFFSET 0) AS f  --? sky area
    UNION ALL  --? sky
    -- what others wrote of tiles, whatever its name says
    SELECT f.file_id, NULL::int4 AS row_index  --? sky
    FROM unnest(:pixels_first::int4[], :pixels_last::int4[]) AS p (first, last), LATERAL (  --? sky
        SELECT f.file_id FROM file_registry f  --? sky
        WHERE f.state = 'live' AND NOT f.has_cells AND f.product = :product::text AND NOT f.is_ours  --? sky
            AND f.healpix BETWEEN p.first AND p.last  --? sky
          AND f.sky <@ int8range(f.healpix::int8 << 46, (f.healpix::int8 + 1) << 46)  --? sky
        OFFSET 0) AS f  --? sky
    -- all else, by a look at each
    SELECT f.file_id, NULL::int4 AS row_index  --? product tile cells objects files
    FROM file_registry f  --? product tile cells objects files
    WHERE f.state = 'live'  --? product tile cells objects files
      AND f.product = :product::text  --? product tile cells objects files
      AND f.num_rows IS DISTINCT FROM 0  --? product tile cells objects files
      -- of these cells and objects are not known
      AND NOT f.has_cells  --? cells objects files
      AND f.is_ours AND (f.healpix = ANY (:healpixes::int8[]) OR f.healpix IS NULL)  --? tile
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
) AS w
