-- Stages: what the files of a product were made of, and whether that is still so.
--
--   file_registry ──< file_parents      stage_runs ──< stage_attempts
--
--   * A stage makes a tile's file of one product from the tile's file of another, in the same lake,
--     row by row. The file says in its footer which stage made it, in which version, and of which
--     content and row order its parent was: file_makings and file_parents hold that.
--   * Nothing is marked stale: whether a file is follows from what it was made of and what is live
--     now. stage_tiles() is that one question.

CREATE TABLE file_parents (
    file_id    bigint NOT NULL,
    size_bytes bigint NOT NULL,
    mtime_ns   bigint NOT NULL,
    product    text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    content    text COLLATE "C" NOT NULL,
    order_hash text COLLATE "C" NOT NULL,
    PRIMARY KEY (file_id, product)
);
COMMENT ON TABLE file_parents IS 'The published file of the same tile that a file was made of, as its footer tells; one row a file and product';
COMMENT ON COLUMN file_parents.file_id IS 'The file that was made';
COMMENT ON COLUMN file_parents.size_bytes IS 'Size of the parent';
COMMENT ON COLUMN file_parents.mtime_ns IS 'Modification time of the parent, nanoseconds since 1970';
COMMENT ON COLUMN file_parents.product IS 'Product of the parent';
COMMENT ON COLUMN file_parents.name IS 'File name of the parent';
COMMENT ON COLUMN file_parents.content IS 'Checksum of the parent''s content (blake3:HEX:LENGTH)';
COMMENT ON COLUMN file_parents.order_hash IS 'Hash of the parent''s row order (hex)';

COMMENT ON COLUMN file_makings.document IS '{writer: program that wrote the file, version, config, configuration: as in the footer keys bifrost.…, stage: {name, version} of the stage that made it, headers: cards of the inputs that do not vary from tile to tile}; absent what the footer does not tell';
COMMENT ON COLUMN file_registry.order_hash IS 'Hash of its tile and its TARGETIDs in row order (hex), as its maker stated it, else computed: products of one tile with equal hashes zip';

ALTER TABLE tile_outcomes
    ADD COLUMN product text COLLATE "C" NOT NULL DEFAULT 'spectra',
    DROP CONSTRAINT tile_outcomes_pkey,
    ADD PRIMARY KEY (lake_id, product, tile);
COMMENT ON TABLE tile_outcomes IS 'Tiles of which a product could not be made: what the lakes'' quarantine folders hold';
COMMENT ON COLUMN tile_outcomes.product IS 'Product that lacks the tile';

CREATE TABLE stage_runs (
    run_id        uuid PRIMARY KEY,
    lake_id       uuid NOT NULL,
    began_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at      timestamptz,
    tiles         bigint NOT NULL,
    stage_version integer NOT NULL,
    node          text COLLATE "C" NOT NULL,
    stage         text COLLATE "C" NOT NULL,
    product       text COLLATE "C" NOT NULL,
    ending        text COLLATE "C" CHECK (ending IN ('complete', 'stopped', 'abandoned')),
    CHECK (num_nonnulls(ending, ended_at) IN (0, 2))
);
CREATE INDEX stage_runs_open ON stage_runs (lake_id, stage) WHERE ended_at IS NULL;
COMMENT ON TABLE stage_runs IS 'Runs of stages that make one product from another';
COMMENT ON COLUMN stage_runs.run_id IS 'The run';
COMMENT ON COLUMN stage_runs.lake_id IS 'Lake whose files it read and made';
COMMENT ON COLUMN stage_runs.began_at IS 'When it began (UTC)';
COMMENT ON COLUMN stage_runs.ended_at IS 'When it ended, or was found to have (UTC); NULL = under way';
COMMENT ON COLUMN stage_runs.tiles IS 'Tiles that it set out to make';
COMMENT ON COLUMN stage_runs.stage_version IS 'Version of the stage';
COMMENT ON COLUMN stage_runs.node IS 'Node that ran it';
COMMENT ON COLUMN stage_runs.stage IS 'Name of the stage';
COMMENT ON COLUMN stage_runs.product IS 'Product that it makes';
COMMENT ON COLUMN stage_runs.ending IS 'complete: it came to its end; stopped: it was told to; abandoned: the process died';

CREATE TABLE stage_attempts (
    run_id    uuid NOT NULL REFERENCES stage_runs,
    ended_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    bytes_in  bigint NOT NULL,
    bytes_out bigint,
    rows      bigint,
    seconds   float8 NOT NULL,
    tries     integer NOT NULL,
    healpix   integer NOT NULL,
    release   text COLLATE "C" NOT NULL,
    survey    text COLLATE "C" NOT NULL,
    program   text COLLATE "C" NOT NULL,
    outcome   text COLLATE "C" NOT NULL CHECK (outcome IN ('converted', 'empty', 'unchanged', 'missing_source',
                  'checksum_mismatch', 'mismatch', 'corrupt', 'archive_error', 'disk', 'internal')),
    error     text,
    PRIMARY KEY (run_id, healpix, program, survey, release)
);
CREATE INDEX stage_attempts_tile ON stage_attempts (healpix, program, survey, release);
COMMENT ON TABLE stage_attempts IS 'The ledger of stages: every tile that a run came to, and how it ended; what is published is noted in the commit that registers it';
COMMENT ON COLUMN stage_attempts.run_id IS 'The run';
COMMENT ON COLUMN stage_attempts.ended_at IS 'When it ended (UTC)';
COMMENT ON COLUMN stage_attempts.bytes_in IS 'Bytes of the file that was read';
COMMENT ON COLUMN stage_attempts.bytes_out IS 'Bytes of the file that was made';
COMMENT ON COLUMN stage_attempts.rows IS 'Rows of the file that was made';
COMMENT ON COLUMN stage_attempts.seconds IS 'Seconds that it took';
COMMENT ON COLUMN stage_attempts.tries IS 'Tries that it took';
COMMENT ON COLUMN stage_attempts.healpix IS 'Pixel of the tile, nside 64, NESTED';
COMMENT ON COLUMN stage_attempts.release IS 'Release of the tile';
COMMENT ON COLUMN stage_attempts.survey IS 'Survey of the tile';
COMMENT ON COLUMN stage_attempts.program IS 'Program of the tile';
COMMENT ON COLUMN stage_attempts.outcome IS 'How it ended';
COMMENT ON COLUMN stage_attempts.error IS 'What was wrong, in words';

CREATE FUNCTION stage_tiles(stage text, version integer, input text, product text)
RETURNS TABLE (
    lake_id uuid, node text, release text, survey text, program text, healpix integer,
    input_path text, path text, state text, reason text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH parents AS (
        SELECT * FROM file_registry f
        WHERE f.state = 'live' AND f.product = stage_tiles.input AND f.healpix IS NOT NULL),
    made AS (
        SELECT f.*, p.content AS parent_content, p.order_hash AS parent_order,
               p.size_bytes AS parent_bytes, p.mtime_ns AS parent_mtime_ns,
               m.document -> 'stage' ->> 'name' AS stage,
               m.document -> 'stage' ->> 'version' AS version
        FROM file_registry f
        LEFT JOIN file_parents p ON p.file_id = f.file_id AND p.product = stage_tiles.input
        LEFT JOIN file_makings m USING (making_id)
        WHERE f.state = 'live' AND f.product = stage_tiles.product AND f.healpix IS NOT NULL),
    judged AS (
        SELECT i.lake_id AS input_lake, i.node AS input_node, i.path AS input_path, f.lake_id,
               f.node, f.path,
               coalesce(i.release, f.release) AS release, coalesce(i.survey, f.survey) AS survey,
               coalesce(i.program, f.program) AS program, coalesce(i.healpix, f.healpix) AS healpix,
               CASE WHEN f.file_id IS NULL THEN NULL
                    WHEN i.file_id IS NULL THEN 'its input is gone'
                    WHEN f.parent_content IS NULL OR f.stage IS DISTINCT FROM stage_tiles.stage
                        THEN 'another program made it'
                    WHEN f.version IS DISTINCT FROM stage_tiles.version::text
                        THEN 'made by version ' || coalesce(f.version, 'unknown')
                    WHEN i.order_hash IS DISTINCT FROM f.parent_order
                      OR f.order_hash IS DISTINCT FROM f.parent_order THEN 'its input has other rows'
                    -- a file that states no checksum is known by size and time
                    WHEN CASE WHEN i.content IS NULL
                              THEN (i.size_bytes, i.mtime_ns) <> (f.parent_bytes, f.parent_mtime_ns)
                              ELSE i.content <> f.parent_content END
                        THEN 'its input was made again' END AS reason
        FROM parents i
        FULL JOIN made f USING (lake_id, release, survey, program, healpix))
    SELECT coalesce(input_lake, lake_id), coalesce(input_node, node), release, survey, program,
           healpix, input_path, path,
           CASE WHEN path IS NULL THEN 'missing' WHEN reason IS NULL THEN 'made' ELSE 'stale' END,
           reason
    FROM judged
$$;
COMMENT ON FUNCTION stage_tiles IS 'Tiles that a stage has made (made), made of what is no longer so (stale, with the reason) or could make (missing), lake by lake. Example: SELECT state, reason, count(*) FROM stage_tiles(''snr'', 1, ''spectra'', ''snr'') GROUP BY state, reason';
