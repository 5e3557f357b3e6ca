-- Spectra stores: HDF5 files that hold the arrays of all tiles of a pixel.
--
--   file_registry (product spectra-h5) ──< store_groups, a group a tile
--
--   * A store is registered as any file is, with its groups for row groups and without columns: what it
--     holds is in `spectra`, row by row, whose scalars are in the catalog.
--   * A group is of use only as long as the file is live that it was made of: both have the same rows
--     in the same order then, so that row_index of the catalog leads to the chunks.

CREATE TABLE store_groups (
    file_id         bigint NOT NULL,
    parent_bytes    bigint NOT NULL,
    parent_mtime_ns bigint NOT NULL,
    wavelength_at   bigint NOT NULL,
    target_id_at    bigint NOT NULL,
    chunks_at       bigint NOT NULL,
    healpix         integer NOT NULL,
    num_rows        integer NOT NULL,
    num_pixels      integer NOT NULL,
    release         text COLLATE "C" NOT NULL,
    survey          text COLLATE "C" NOT NULL,
    program         text COLLATE "C" NOT NULL,
    group_path      text COLLATE "C" NOT NULL,
    parent_name     text COLLATE "C" NOT NULL,
    parent_content  text COLLATE "C" NOT NULL,
    order_hash      text COLLATE "C" NOT NULL,
    PRIMARY KEY (file_id, release, survey, program)
);
CREATE INDEX store_groups_tile ON store_groups (healpix, program, survey, release);
COMMENT ON TABLE store_groups IS 'The groups of spectra stores: one a tile; of files that are live and of others';
COMMENT ON COLUMN store_groups.file_id IS 'The store, in file_registry';
COMMENT ON COLUMN store_groups.parent_bytes IS 'Size of the file of spectra that the group was made of';
COMMENT ON COLUMN store_groups.parent_mtime_ns IS 'Its modification time, nanoseconds since 1970';
COMMENT ON COLUMN store_groups.wavelength_at IS 'Byte of the store at which the wavelengths begin: num_pixels float8, little-endian';
COMMENT ON COLUMN store_groups.target_id_at IS 'Byte at which the TARGETIDs begin: num_rows int8, little-endian';
COMMENT ON COLUMN store_groups.chunks_at IS 'Byte at which the places of the chunks begin: 48 bytes a row, for each of flux, ivar and mask its address (8 bytes), its size (4) and which filters were not applied to it (4 bytes of bits), little-endian';
COMMENT ON COLUMN store_groups.healpix IS 'Pixel of the tile (nside 64, NESTED)';
COMMENT ON COLUMN store_groups.num_rows IS 'Rows';
COMMENT ON COLUMN store_groups.num_pixels IS 'Pixels of each spectrum';
COMMENT ON COLUMN store_groups.release IS 'Release of the tile';
COMMENT ON COLUMN store_groups.survey IS 'Survey of the tile';
COMMENT ON COLUMN store_groups.program IS 'Program of the tile';
COMMENT ON COLUMN store_groups.group_path IS 'The group in the HDF5 file';
COMMENT ON COLUMN store_groups.parent_name IS 'Name of the file of spectra that it was made of';
COMMENT ON COLUMN store_groups.parent_content IS 'Checksum of that file''s content (blake3:HEX:LENGTH)';
COMMENT ON COLUMN store_groups.order_hash IS 'Hash of its row order (hex)';

CREATE FUNCTION store_tiles(version integer)
RETURNS TABLE (
    lake_id uuid, node text, release text, survey text, program text, healpix integer,
    input_path text, path text, state text, reason text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH inputs AS (
        SELECT * FROM file_registry f
        WHERE f.state = 'live' AND f.product = 'spectra' AND f.healpix IS NOT NULL),
    made AS (
        SELECT f.lake_id, f.node, f.path, g.*, m.document -> 'stage' ->> 'version' AS version
        FROM file_registry f
        JOIN store_groups g USING (file_id)
        LEFT JOIN file_makings m USING (making_id)
        WHERE f.state = 'live' AND f.product = 'spectra-h5'),
    judged AS (
        SELECT i.lake_id AS input_lake, i.node AS input_node, i.path AS input_path, g.lake_id,
               g.node, g.path,
               coalesce(i.release, g.release) AS release, coalesce(i.survey, g.survey) AS survey,
               coalesce(i.program, g.program) AS program, coalesce(i.healpix, g.healpix) AS healpix,
               CASE WHEN g.file_id IS NULL THEN NULL
                    WHEN i.file_id IS NULL THEN 'its input is gone'
                    WHEN g.version IS DISTINCT FROM store_tiles.version::text
                        THEN 'made by version ' || coalesce(g.version, 'unknown')
                    WHEN i.order_hash IS DISTINCT FROM g.order_hash THEN 'its input has other rows'
                    -- a file that states no checksum is known by size and time
                    WHEN CASE WHEN i.content IS NULL
                              THEN (i.size_bytes, i.mtime_ns) <> (g.parent_bytes, g.parent_mtime_ns)
                              ELSE i.content <> g.parent_content END
                        THEN 'its input was made again' END AS reason
        FROM inputs i
        FULL JOIN made g USING (lake_id, release, survey, program, healpix))
    SELECT coalesce(input_lake, lake_id), coalesce(input_node, node), release, survey, program,
           healpix, input_path, path,
           CASE WHEN path IS NULL THEN 'missing' WHEN reason IS NULL THEN 'made' ELSE 'stale' END,
           reason
    FROM judged
$$;
COMMENT ON FUNCTION store_tiles IS 'Tiles that spectra stores hold (made), hold as they are no longer (stale, with the reason) or lack (missing), lake by lake. Example: SELECT state, reason, count(*) FROM store_tiles(1) GROUP BY state, reason';

COMMENT ON TABLE file_registry IS 'Every file that is or was in a lake, Parquet or spectra store: one row a version of a file; readers open state = live';
