-- The archive: what it holds, and which of it is still to be made.
--
--   archive_tiles ──< archive_files        archive_seen (what an inventory is compared by)
--
--   * An inventory says which files the archive has. It comes in through archive_seen, is compared
--     with what is known, and queues the tiles of which something is new or has changed.
--   * Only what both sides state is compared: a list without sizes changes no size.

CREATE TABLE archive_tiles (
    tile_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queued_at timestamptz NOT NULL DEFAULT now(),
    healpix   integer NOT NULL CHECK (healpix BETWEEN 0 AND 49151),
    release   text COLLATE "C" NOT NULL,
    survey    text COLLATE "C" NOT NULL,
    program   text COLLATE "C" NOT NULL,
    state     text COLLATE "C" NOT NULL DEFAULT 'queued'
              CHECK (state IN ('queued', 'done', 'failed', 'absent')),
    source    text NOT NULL,
    UNIQUE (release, survey, program, healpix)
);
CREATE INDEX archive_tiles_to_do ON archive_tiles (release, healpix, survey, program)
    WHERE state = 'queued';
COMMENT ON TABLE archive_tiles IS 'Tiles that are to be made from the archive';
COMMENT ON COLUMN archive_tiles.tile_id IS 'Number of the tile';
COMMENT ON COLUMN archive_tiles.queued_at IS 'When it was last queued (UTC)';
COMMENT ON COLUMN archive_tiles.healpix IS 'HEALPix pixel, nside 64, NESTED';
COMMENT ON COLUMN archive_tiles.release IS 'Production of the archive: iron is DR1';
COMMENT ON COLUMN archive_tiles.survey IS 'Survey: main, sv1, …';
COMMENT ON COLUMN archive_tiles.program IS 'Program: bright, dark, …';
COMMENT ON COLUMN archive_tiles.state IS 'queued: to be made; done: made from these files; failed: set aside with a reason; absent: the archive has no such folder';
COMMENT ON COLUMN archive_tiles.source IS 'What first named it: a list''s path, a table''s, or the archive''s address';

CREATE TABLE archive_files (
    tile_id    bigint NOT NULL REFERENCES archive_tiles,
    size_bytes bigint,
    seen_at    timestamptz NOT NULL DEFAULT now(),
    kind       text COLLATE "C" NOT NULL,
    state      text COLLATE "C" NOT NULL DEFAULT 'present' CHECK (state IN ('present', 'absent')),
    key        text COLLATE "C" NOT NULL,
    etag       text COLLATE "C",
    sha256     text COLLATE "C" CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    PRIMARY KEY (tile_id, kind)
);
COMMENT ON TABLE archive_files IS 'Files of these tiles in the archive, as last seen';
COMMENT ON COLUMN archive_files.tile_id IS 'Tile that it belongs to';
COMMENT ON COLUMN archive_files.size_bytes IS 'Its size; NULL = not known yet';
COMMENT ON COLUMN archive_files.seen_at IS 'When it was last found new or changed (UTC)';
COMMENT ON COLUMN archive_files.kind IS 'coadd, redrock, emline or rrdetails';
COMMENT ON COLUMN archive_files.state IS 'present, or absent: the archive does not have it';
COMMENT ON COLUMN archive_files.key IS 'Its key: bucket and host apart';
COMMENT ON COLUMN archive_files.etag IS 'Its version as the archive names it; NULL = not known yet';
COMMENT ON COLUMN archive_files.sha256 IS 'Its SHA-256 as the archive states it (hex); NULL = not known yet';

-- Rows live here for one transaction, and nobody else ever sees them.
CREATE UNLOGGED TABLE archive_seen (
    size_bytes bigint,
    healpix    integer NOT NULL,
    release    text COLLATE "C" NOT NULL,
    survey     text COLLATE "C" NOT NULL,
    program    text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    key        text COLLATE "C" NOT NULL,
    etag       text COLLATE "C",
    sha256     text COLLATE "C"
);
COMMENT ON TABLE archive_seen IS 'An inventory on its way in; empty between transactions';
COMMENT ON COLUMN archive_seen.size_bytes IS 'As in archive_files';
COMMENT ON COLUMN archive_seen.healpix IS 'As in archive_tiles';
COMMENT ON COLUMN archive_seen.release IS 'As in archive_tiles';
COMMENT ON COLUMN archive_seen.survey IS 'As in archive_tiles';
COMMENT ON COLUMN archive_seen.program IS 'As in archive_tiles';
COMMENT ON COLUMN archive_seen.kind IS 'As in archive_files';
COMMENT ON COLUMN archive_seen.key IS 'As in archive_files';
COMMENT ON COLUMN archive_seen.etag IS 'As in archive_files';
COMMENT ON COLUMN archive_seen.sha256 IS 'As in archive_files';
