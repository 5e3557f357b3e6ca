-- The campaign: who makes which tiles, and how every try ended.
--
--   campaign_nodes ──< campaign_leases ──< campaign_attempts >── archive_tiles
--                                              └── campaign_intents      campaign_set_aside
--
--   * A lease is the right to make the tiles of one pixel. It is taken in one short transaction,
--     renewed by its holder, and lapses with the server's clock: clocks of nodes are never compared.
--   * Its token is larger than every earlier one. Whoever publishes locks the lease and shows the
--     token in the transaction that registers the files: a holder who lost the lease cannot.
--   * An intent stands here before a file appears in a lake, and falls in the transaction that
--     registers it. What a crash leaves between the two is settled by the lake itself, later:
--     registered after all where the token still holds, else taken back.
--   * A lake that another has overtaken finds in campaign_set_aside what it must take away.

ALTER TABLE archive_tiles
    ADD COLUMN failures smallint NOT NULL DEFAULT 0,
    ADD COLUMN retry_at timestamptz,
    ADD COLUMN outcome  text COLLATE "C";
COMMENT ON COLUMN archive_tiles.failures IS 'Tries that failed since it was queued';
COMMENT ON COLUMN archive_tiles.retry_at IS 'Not to be tried again before (UTC); NULL = at any time';
COMMENT ON COLUMN archive_tiles.outcome IS 'How the last try ended: converted, empty, unchanged, missing_source, checksum_mismatch, mismatch, corrupt, archive_error, disk or internal';

CREATE FUNCTION archive_tiles_begin_anew() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.failures := 0;
    NEW.retry_at := NULL;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION archive_tiles_begin_anew IS 'What is queued again has not failed yet';
CREATE TRIGGER archive_tiles_queued BEFORE UPDATE OF state ON archive_tiles FOR EACH ROW
    WHEN (NEW.state = 'queued' AND OLD.state <> 'queued')
    EXECUTE FUNCTION archive_tiles_begin_anew();

CREATE TABLE campaign_nodes (
    lake_id      uuid NOT NULL,
    run_id       uuid NOT NULL,
    joined_at    timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    alive_until  timestamptz NOT NULL,
    weight       float8 NOT NULL CHECK (weight > 0 AND weight < 'Infinity'),
    free_bytes   bigint NOT NULL,
    disk_bytes   bigint NOT NULL,
    takes_all    boolean NOT NULL,
    state        text COLLATE "C" NOT NULL CHECK (state IN ('running', 'left', 'forgotten')),
    release      text COLLATE "C" NOT NULL,
    node         text COLLATE "C" PRIMARY KEY
);
COMMENT ON TABLE campaign_nodes IS 'Nodes that take part, or took part, in a campaign';
COMMENT ON COLUMN campaign_nodes.lake_id IS 'Lake that its files go to';
COMMENT ON COLUMN campaign_nodes.run_id IS 'Its latest run';
COMMENT ON COLUMN campaign_nodes.joined_at IS 'When that run began (UTC)';
COMMENT ON COLUMN campaign_nodes.heartbeat_at IS 'When it was last heard of (UTC)';
COMMENT ON COLUMN campaign_nodes.alive_until IS 'When it is no longer waited for (UTC), unless it is heard of again';
COMMENT ON COLUMN campaign_nodes.weight IS 'Its share of the pixels, relative to the other nodes''';
COMMENT ON COLUMN campaign_nodes.free_bytes IS 'Free space on the lake''s disk';
COMMENT ON COLUMN campaign_nodes.disk_bytes IS 'Size of the lake''s disk';
COMMENT ON COLUMN campaign_nodes.takes_all IS 'Whether it makes every tile that is queued; false: only those that were named to it';
COMMENT ON COLUMN campaign_nodes.state IS 'running (see alive_until), left: its run ended, or forgotten: it will not come back';
COMMENT ON COLUMN campaign_nodes.release IS 'Production that it makes tiles of';
COMMENT ON COLUMN campaign_nodes.node IS 'Name of the machine (--node)';

CREATE SEQUENCE campaign_tokens;
COMMENT ON SEQUENCE campaign_tokens IS 'Tokens of leases: a later lease has a larger one';

CREATE TABLE campaign_leases (
    token      bigint UNIQUE,
    lake_id    uuid,
    run_id     uuid,
    taken_at   timestamptz,
    expires_at timestamptz,
    lease_s    float8,
    healpix    integer PRIMARY KEY,
    node       text COLLATE "C",
    CHECK (num_nulls(token, lake_id, run_id, taken_at, expires_at, lease_s, node) IN (0, 7))
) WITH (fillfactor = 50);
CREATE INDEX campaign_leases_held ON campaign_leases (lake_id) WHERE token IS NOT NULL;
COMMENT ON TABLE campaign_leases IS 'One row a pixel: who may make its tiles, and until when; NULL = nobody';
COMMENT ON COLUMN campaign_leases.token IS 'Number of the lease';
COMMENT ON COLUMN campaign_leases.lake_id IS 'Lake of its holder';
COMMENT ON COLUMN campaign_leases.run_id IS 'Run that holds it';
COMMENT ON COLUMN campaign_leases.taken_at IS 'When it was taken (UTC)';
COMMENT ON COLUMN campaign_leases.expires_at IS 'When it lapses (UTC), unless it is renewed';
COMMENT ON COLUMN campaign_leases.lease_s IS 'For how long it is renewed at a time, seconds';
COMMENT ON COLUMN campaign_leases.healpix IS 'The pixel, nside 64, NESTED';
COMMENT ON COLUMN campaign_leases.node IS 'Node of its holder';

CREATE TABLE campaign_attempts (
    attempt_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tile_id       bigint NOT NULL REFERENCES archive_tiles,
    token         bigint NOT NULL,
    lake_id       uuid NOT NULL,
    began_at      timestamptz NOT NULL,
    ended_at      timestamptz,
    seen_at       timestamptz,
    bytes_fetched bigint,
    bytes_in      bigint,
    bytes_out     bigint,
    rows          bigint,
    fetch_s       float8,
    make_s        float8,
    publish_s     float8,
    retries       integer,
    node          text COLLATE "C" NOT NULL,
    stage         text COLLATE "C" NOT NULL,
    outcome       text COLLATE "C" CHECK (outcome IN ('converted', 'empty', 'unchanged', 'missing_source',
                      'checksum_mismatch', 'mismatch', 'corrupt', 'archive_error', 'disk', 'internal')),
    ending        text COLLATE "C" CHECK (ending IN ('abandoned', 'fenced', 'released')),
    error         text,
    CHECK (num_nonnulls(outcome, ending) = num_nonnulls(ended_at))
);
CREATE INDEX campaign_attempts_tile ON campaign_attempts (tile_id, attempt_id);
CREATE INDEX campaign_attempts_open ON campaign_attempts (token) WHERE ended_at IS NULL;
CREATE INDEX campaign_attempts_ended ON campaign_attempts (ended_at);
COMMENT ON TABLE campaign_attempts IS 'The ledger: every try of every tile';
COMMENT ON COLUMN campaign_attempts.attempt_id IS 'Number of the try';
COMMENT ON COLUMN campaign_attempts.tile_id IS 'The tile';
COMMENT ON COLUMN campaign_attempts.token IS 'Lease under which it was made';
COMMENT ON COLUMN campaign_attempts.lake_id IS 'Lake of the node';
COMMENT ON COLUMN campaign_attempts.began_at IS 'When the lease was taken (UTC)';
COMMENT ON COLUMN campaign_attempts.ended_at IS 'When it ended, or was found to have (UTC); NULL = under way';
COMMENT ON COLUMN campaign_attempts.seen_at IS 'Version of the tile''s files in the archive: the latest archive_files.seen_at when it began';
COMMENT ON COLUMN campaign_attempts.bytes_fetched IS 'Bytes that came over the network, those in vain included';
COMMENT ON COLUMN campaign_attempts.bytes_in IS 'Bytes of the tile''s files';
COMMENT ON COLUMN campaign_attempts.bytes_out IS 'Bytes of the file that was made';
COMMENT ON COLUMN campaign_attempts.rows IS 'Rows of the file that was made';
COMMENT ON COLUMN campaign_attempts.fetch_s IS 'Seconds that fetching took';
COMMENT ON COLUMN campaign_attempts.make_s IS 'Seconds that the stage took';
COMMENT ON COLUMN campaign_attempts.publish_s IS 'Seconds that publishing and registering its pixel took';
COMMENT ON COLUMN campaign_attempts.retries IS 'Requests that failed and were sent again';
COMMENT ON COLUMN campaign_attempts.node IS 'Node that tried';
COMMENT ON COLUMN campaign_attempts.stage IS 'What was done with the tile';
COMMENT ON COLUMN campaign_attempts.outcome IS 'How it ended, where it came to an end';
COMMENT ON COLUMN campaign_attempts.ending IS 'How it ended without one: abandoned: the process died or lost the lease; fenced: it came to publish and no longer held the lease; released: the run was told to stop';
COMMENT ON COLUMN campaign_attempts.error IS 'What was wrong, in words';

CREATE TABLE campaign_intents (
    attempt_id bigint PRIMARY KEY REFERENCES campaign_attempts,
    publish_id uuid NOT NULL,
    lake_id    uuid NOT NULL,
    token      bigint NOT NULL,
    size_bytes bigint NOT NULL,
    mtime_ns   bigint NOT NULL,
    inode      bigint NOT NULL,
    path       text COLLATE "C" NOT NULL,
    outcome    text COLLATE "C" NOT NULL
);
CREATE INDEX campaign_intents_lake ON campaign_intents (lake_id);
COMMENT ON TABLE campaign_intents IS 'Files that are about to appear in lakes, or have and are not registered yet';
COMMENT ON COLUMN campaign_intents.attempt_id IS 'The try that made it';
COMMENT ON COLUMN campaign_intents.publish_id IS 'Folder of .bifrost/replaced that its predecessors move to';
COMMENT ON COLUMN campaign_intents.lake_id IS 'Lake that it appears in';
COMMENT ON COLUMN campaign_intents.token IS 'Lease under which it was made';
COMMENT ON COLUMN campaign_intents.size_bytes IS 'Size of the file';
COMMENT ON COLUMN campaign_intents.mtime_ns IS 'Its modification time, nanoseconds since 1970';
COMMENT ON COLUMN campaign_intents.inode IS 'Its inode number (the bits of a 64-bit unsigned one)';
COMMENT ON COLUMN campaign_intents.path IS 'Its final path, relative to the lake';
COMMENT ON COLUMN campaign_intents.outcome IS 'How the try ends once it is registered';

CREATE TABLE campaign_set_aside (
    lake_id    uuid NOT NULL,
    size_bytes bigint NOT NULL,
    mtime_ns   bigint NOT NULL,
    inode      bigint NOT NULL,
    path       text COLLATE "C" NOT NULL,
    PRIMARY KEY (lake_id, path)
);
COMMENT ON TABLE campaign_set_aside IS 'Files of tiles that another lake has made since: their lake takes them away when it is next at work';
COMMENT ON COLUMN campaign_set_aside.lake_id IS 'Lake that holds the file';
COMMENT ON COLUMN campaign_set_aside.size_bytes IS 'Its size: what is another file stays';
COMMENT ON COLUMN campaign_set_aside.mtime_ns IS 'Its modification time, nanoseconds since 1970';
COMMENT ON COLUMN campaign_set_aside.inode IS 'Its inode number';
COMMENT ON COLUMN campaign_set_aside.path IS 'Its path, relative to the lake';

CREATE TABLE campaign_notices (
    told_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    release text COLLATE "C" NOT NULL,
    event   text COLLATE "C" NOT NULL,
    node    text COLLATE "C" NOT NULL,
    PRIMARY KEY (release, event)
);
COMMENT ON TABLE campaign_notices IS 'What people have been told: of several nodes, one tells';
COMMENT ON COLUMN campaign_notices.told_at IS 'When (UTC)';
COMMENT ON COLUMN campaign_notices.release IS 'Of which production''s campaign';
COMMENT ON COLUMN campaign_notices.event IS 'Of what: milestone-50, complete, …';
COMMENT ON COLUMN campaign_notices.node IS 'Node that told';

CREATE VIEW campaign_members AS
SELECT node, lake_id, run_id, release, weight, takes_all, free_bytes, disk_bytes,
       joined_at, heartbeat_at, alive_until
FROM campaign_nodes
WHERE state = 'running'
  -- a server that was down has heard of nobody: all get the time again that they had
  AND greatest(alive_until, pg_postmaster_start_time() + (alive_until - heartbeat_at))
      > clock_timestamp();
COMMENT ON VIEW campaign_members IS 'Nodes that are at work now; columns as in campaign_nodes';

CREATE VIEW attempts AS
SELECT a.attempt_id, concat_ws('-', t.release, t.survey, t.program, t.healpix) AS tile,
       t.release, t.survey, t.program, t.healpix, a.node, a.stage, a.began_at, a.ended_at,
       coalesce(a.outcome, a.ending, 'under way') AS ended, a.error, a.bytes_fetched, a.bytes_in,
       a.bytes_out, a.rows, a.fetch_s, a.make_s, a.publish_s, a.retries, a.token, a.lake_id, a.tile_id
FROM campaign_attempts a
JOIN archive_tiles t USING (tile_id);
COMMENT ON VIEW attempts IS 'The ledger with the names of tiles. Example: SELECT ended, count(*) FROM attempts GROUP BY ended';

CREATE VIEW failures AS
SELECT concat_ws('-', t.release, t.survey, t.program, t.healpix) AS tile,
       t.release, t.survey, t.program, t.healpix, t.state, t.outcome, t.failures, t.retry_at,
       a.node, a.ended_at, a.error, t.tile_id
FROM archive_tiles t
LEFT JOIN LATERAL (SELECT node, ended_at, error FROM campaign_attempts
                   WHERE tile_id = t.tile_id AND outcome IS NOT NULL
                   ORDER BY attempt_id DESC LIMIT 1) AS a ON true
WHERE t.state = 'failed' OR (t.state = 'queued' AND t.failures > 0);
COMMENT ON VIEW failures IS 'Tiles whose last try failed; those with state queued will be tried again at retry_at. Example: SELECT outcome, count(*) FROM failures WHERE state = ''failed'' GROUP BY outcome';

CREATE VIEW campaign AS
SELECT release, survey, program, count(*) FILTER (WHERE state = 'done') AS done,
       count(*) FILTER (WHERE state = 'queued') AS left,
       count(*) FILTER (WHERE state = 'failed') AS failed,
       count(*) FILTER (WHERE state = 'absent') AS absent
FROM archive_tiles
GROUP BY release, survey, program;
COMMENT ON VIEW campaign IS 'How far the campaign is: tiles by release, survey and program. Example: SELECT * FROM campaign';
