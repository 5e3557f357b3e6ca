-- The registry: what Postgres knows of every file of every lake, and of every object in them.
--
-- How it hangs together
--
--   nodes ──< lakes ──< file_registry ──< file_bounds     (whole file, and each row group)
--                            │  │   │ └──< file_classes   (counts of its objects by class)
--                            │  │   └────< file_facts     (counts of its objects, other)
--                            │  └────────< catalog        (one row per row of `spectra`)
--                            ├─> file_schemas             (names, types, slots; one for many files)
--                            └─> file_makings             (program and configuration; one for many)
--   commits: each sync that changed something is one, all of it in one transaction.
--   tile_outcomes: tiles that could not be made, and why.
--
--   * A row of file_registry is one version of one file and is never rewritten, except that its
--     state changes and removed_commit is filled in. A changed file is a new row; its predecessor
--     becomes `replaced`. What a reader may open is `state = 'live'`, and nothing else.
--   * Writers take the advisory lock of commits before they number one, and hold it to the end of
--     the transaction: a larger commit_id was committed later. A commit_id may be skipped by a
--     crash, never used twice.
--   * A NULL bound is an unknown bound: the file (or row group) must be kept. A column whose
--     null_count equals num_rows holds no value at all.
--   * Bounds are packed: array position = `slot` of the column in file_schemas.columns. Integers
--     (and booleans, as 0 and 1), floats and text lie apart, because a TARGETID does not fit a
--     float8. A file of one row group has its row -1 only: the group's bounds are the file's.
--   * Text compares byte by byte (COLLATE "C"), as in Parquet.
--   * Rows are tied by file_id without foreign keys: every writer is one function of the
--     registry's module, and checking 28 million references costs more than loading them.

CREATE TABLE nodes (
    node         text PRIMARY KEY,
    uri_prefixes text[] NOT NULL DEFAULT '{}',
    last_seen_at timestamptz NOT NULL
);
COMMENT ON TABLE nodes IS 'Machines where bytes are local';
COMMENT ON COLUMN nodes.node IS 'Name of the machine (--node)';
COMMENT ON COLUMN nodes.uri_prefixes IS 'What to put before a file''s absolute path to open it from elsewhere: a mount point, http://…, s3://…';
COMMENT ON COLUMN nodes.last_seen_at IS 'When the last sync of this node ran, whether it changed anything or not';

CREATE TABLE lakes (
    lake_id        uuid PRIMARY KEY,
    node           text NOT NULL REFERENCES nodes (node),
    root           text NOT NULL,
    last_commit    bigint,
    listing_digest bytea,
    catalog_digest bytea
);
COMMENT ON TABLE lakes IS 'Lakes: one root folder of products on one node';
COMMENT ON COLUMN lakes.lake_id IS 'Identity kept in the lake''s .bifrost/lake.json';
COMMENT ON COLUMN lakes.node IS 'Node where the lake lies';
COMMENT ON COLUMN lakes.root IS 'Absolute path of the lake on its node';
COMMENT ON COLUMN lakes.last_commit IS 'Latest commit that changed something in this lake; NULL before the first';
COMMENT ON COLUMN lakes.listing_digest IS 'Digest of (path, size, mtime, inode) of everything registered: equal means that nothing changed; NULL = compare file by file';
COMMENT ON COLUMN lakes.catalog_digest IS 'The same for what the catalog holds, with the names of the cataloged products';

CREATE TABLE commits (
    commit_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    committed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    lake_id           uuid NOT NULL,
    node              text NOT NULL,
    program           text NOT NULL,
    files_added       bigint NOT NULL DEFAULT 0,
    files_changed     bigint NOT NULL DEFAULT 0,
    files_missing     bigint NOT NULL DEFAULT 0,
    files_replaced    bigint NOT NULL DEFAULT 0,
    files_quarantined bigint NOT NULL DEFAULT 0,
    rows_added        bigint NOT NULL DEFAULT 0,
    rows_removed      bigint NOT NULL DEFAULT 0,
    bytes_added       bigint NOT NULL DEFAULT 0,
    bytes_removed     bigint NOT NULL DEFAULT 0,
    catalog_added     bigint NOT NULL DEFAULT 0,
    catalog_removed   bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE commits IS 'Every sync that changed something, in the order in which they became visible';
COMMENT ON COLUMN commits.commit_id IS 'Number of the commit, over all lakes and nodes';
COMMENT ON COLUMN commits.committed_at IS 'When it was numbered (UTC)';
COMMENT ON COLUMN commits.lake_id IS 'Lake that was synced';
COMMENT ON COLUMN commits.node IS 'Node that synced it';
COMMENT ON COLUMN commits.program IS 'Program and version, e.g. bifrost 0.1.0';
COMMENT ON COLUMN commits.files_added IS 'Files seen for the first time, or again after they had vanished';
COMMENT ON COLUMN commits.files_changed IS 'Files whose size, time or inode changed: read anew';
COMMENT ON COLUMN commits.files_missing IS 'Files that vanished';
COMMENT ON COLUMN commits.files_replaced IS 'Files that vanished because another file of their tile took their place';
COMMENT ON COLUMN commits.files_quarantined IS 'Files, among those added and changed, that cannot be read';
COMMENT ON COLUMN commits.rows_added IS 'Rows in files that became live';
COMMENT ON COLUMN commits.rows_removed IS 'Rows in files that ceased to be live';
COMMENT ON COLUMN commits.bytes_added IS 'Size of the files that became live';
COMMENT ON COLUMN commits.bytes_removed IS 'Size of the files that ceased to be live';
COMMENT ON COLUMN commits.catalog_added IS 'Rows that the catalog gained';
COMMENT ON COLUMN commits.catalog_removed IS 'Rows that the catalog lost';

CREATE TABLE file_schemas (
    schema_id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint text NOT NULL UNIQUE,
    columns     jsonb NOT NULL
);
COMMENT ON TABLE file_schemas IS 'Schemas of files: thousands of files share one';
COMMENT ON COLUMN file_schemas.schema_id IS 'Number of the schema';
COMMENT ON COLUMN file_schemas.fingerprint IS 'BLAKE3 (hex) of the column list';
COMMENT ON COLUMN file_schemas.columns IS 'Array of {name, type (Arrow), kind: int|float|text|bool|other, slot: position in the arrays of file_bounds of its kind, from 1 (bool shares those of int), position: place in null_count, from 1, nullable, unit, ucd, description}; columns of kind other have neither slot nor position';

CREATE TABLE file_makings (
    making_id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint text NOT NULL UNIQUE,
    document    jsonb NOT NULL
);
COMMENT ON TABLE file_makings IS 'How files were made: thousands of files share one';
COMMENT ON COLUMN file_makings.making_id IS 'Number of the making';
COMMENT ON COLUMN file_makings.fingerprint IS 'BLAKE3 (hex) of the document';
COMMENT ON COLUMN file_makings.document IS '{writer: program that wrote the file, version, config, configuration: as in the footer keys bifrost.…, headers: cards of the inputs that do not vary from tile to tile}; absent what the footer does not tell';

CREATE TABLE file_registry (
    file_id         bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    lake_id         uuid NOT NULL,
    added_commit    bigint NOT NULL,
    removed_commit  bigint,
    size_bytes      bigint NOT NULL,
    mtime_ns        bigint NOT NULL,
    inode           bigint NOT NULL,
    num_rows        bigint,
    num_row_groups  integer,
    schema_id       integer,
    making_id       integer,
    healpix         integer,
    in_catalog      boolean NOT NULL DEFAULT false,
    z_min           float8,
    z_max           float8,
    deltachi2_min   float8,
    deltachi2_max   float8,
    zwarn_min       bigint,
    zwarn_max       bigint,
    target_id_min   bigint,
    target_id_max   bigint,
    ra_min          float8,
    ra_max          float8,
    dec_min         float8,
    dec_max         float8,
    sky             int8range,
    state           text COLLATE "C" NOT NULL CHECK (state IN ('live', 'quarantined', 'missing', 'replaced')),
    node            text COLLATE "C" NOT NULL,
    product         text COLLATE "C" NOT NULL,
    path            text COLLATE "C" NOT NULL,
    release         text COLLATE "C",
    survey          text COLLATE "C",
    program         text COLLATE "C",
    spectype_min    text COLLATE "C",
    spectype_max    text COLLATE "C",
    footer_hash     bytea,
    content         text COLLATE "C",
    order_hash      text COLLATE "C",
    reason          text,
    fault           text,
    CHECK ((removed_commit IS NULL) = (state IN ('live', 'quarantined')))
);
COMMENT ON TABLE file_registry IS 'Every Parquet file that is or was in a lake: one row a version of a file; readers open state = live';
COMMENT ON COLUMN file_registry.file_id IS 'Number of this version of the file, never used again';
COMMENT ON COLUMN file_registry.lake_id IS 'Lake that holds it';
COMMENT ON COLUMN file_registry.added_commit IS 'Commit that made it visible';
COMMENT ON COLUMN file_registry.removed_commit IS 'Commit that took it away; NULL while the file is there';
COMMENT ON COLUMN file_registry.size_bytes IS 'Size of the file';
COMMENT ON COLUMN file_registry.mtime_ns IS 'Modification time, nanoseconds since 1970';
COMMENT ON COLUMN file_registry.inode IS 'Inode number (the bits of a 64-bit unsigned one)';
COMMENT ON COLUMN file_registry.num_rows IS 'Rows; NULL where the file cannot be read';
COMMENT ON COLUMN file_registry.num_row_groups IS 'Row groups; NULL where the file cannot be read';
COMMENT ON COLUMN file_registry.schema_id IS 'Its columns, in file_schemas';
COMMENT ON COLUMN file_registry.making_id IS 'How it was made, in file_makings';
COMMENT ON COLUMN file_registry.healpix IS 'Pixel of its tile (nside 64, NESTED), where it is the file of a tile';
COMMENT ON COLUMN file_registry.in_catalog IS 'Whether catalog, file_classes and file_facts hold all that is in it';
COMMENT ON COLUMN file_registry.z_min IS 'Least redshift; NULL = unknown, as in every bound here';
COMMENT ON COLUMN file_registry.z_max IS 'Greatest redshift';
COMMENT ON COLUMN file_registry.deltachi2_min IS 'Least deltachi2';
COMMENT ON COLUMN file_registry.deltachi2_max IS 'Greatest deltachi2';
COMMENT ON COLUMN file_registry.zwarn_min IS 'Least zwarn; 0 where some redshift is good';
COMMENT ON COLUMN file_registry.zwarn_max IS 'Greatest zwarn';
COMMENT ON COLUMN file_registry.target_id_min IS 'Least TARGETID';
COMMENT ON COLUMN file_registry.target_id_max IS 'Greatest TARGETID';
COMMENT ON COLUMN file_registry.ra_min IS 'Least right ascension, degrees';
COMMENT ON COLUMN file_registry.ra_max IS 'Greatest right ascension, degrees';
COMMENT ON COLUMN file_registry.dec_min IS 'Least declination, degrees';
COMMENT ON COLUMN file_registry.dec_max IS 'Greatest declination, degrees';
COMMENT ON COLUMN file_registry.sky IS 'HEALPix order-29 NESTED numbers that its rows may have, [from, to); NULL = anywhere';
COMMENT ON COLUMN file_registry.state IS 'live: may be read; quarantined: there, but cannot be read (see reason); missing: vanished; replaced: a newer version or another file of the tile took its place, or nobody misses it because it could not be read';
COMMENT ON COLUMN file_registry.node IS 'Node where its bytes are local';
COMMENT ON COLUMN file_registry.product IS 'First folder of its path';
COMMENT ON COLUMN file_registry.path IS 'Path relative to the root of its lake';
COMMENT ON COLUMN file_registry.release IS 'Release of its tile, where it is the file of a tile';
COMMENT ON COLUMN file_registry.survey IS 'Survey of its tile';
COMMENT ON COLUMN file_registry.program IS 'Program of its tile';
COMMENT ON COLUMN file_registry.spectype_min IS 'Least spectype, byte order';
COMMENT ON COLUMN file_registry.spectype_max IS 'Greatest spectype, byte order';
COMMENT ON COLUMN file_registry.footer_hash IS 'First 16 bytes of BLAKE3 of the Parquet footer';
COMMENT ON COLUMN file_registry.content IS 'Checksum of its content as its maker stated it (blake3:HEX:LENGTH)';
COMMENT ON COLUMN file_registry.order_hash IS 'Hash of its TARGETIDs in row order (hex): products of one tile with equal hashes zip';
COMMENT ON COLUMN file_registry.reason IS 'Why it is quarantined';
COMMENT ON COLUMN file_registry.fault IS 'What is wrong with a live file that can be read all the same: another live file of its product holds the same tile';

-- one version of a file is there at a time
CREATE UNIQUE INDEX file_registry_current ON file_registry (lake_id, path) WHERE removed_commit IS NULL;
CREATE INDEX file_registry_sky ON file_registry USING gist (sky) WHERE state = 'live';
CREATE INDEX file_registry_tile ON file_registry (healpix, program, survey, release, product) WHERE state = 'live';
-- nearly every tile holds some distant quasar: these bounds prune little by themselves, so that one
-- narrow index to be scanned serves better than five to be searched
CREATE INDEX file_registry_redshift ON file_registry (z_max, z_min, deltachi2_max, zwarn_min, spectype_min, spectype_max) WHERE state = 'live';
CREATE INDEX file_registry_target_id ON file_registry (target_id_min, target_id_max) WHERE state = 'live';
-- the few rows that summaries ask for by name
CREATE INDEX file_registry_wrong ON file_registry (lake_id, state) WHERE state IN ('quarantined', 'missing') OR fault IS NOT NULL;

CREATE TABLE file_bounds (
    file_id     bigint NOT NULL,
    row_group   integer NOT NULL,
    num_rows    bigint NOT NULL,
    null_count  integer[],
    int_min     bigint[],
    int_max     bigint[],
    float_min   float8[],
    float_max   float8[],
    float_nan   boolean[],
    text_min    text[] COLLATE "C",
    text_max    text[] COLLATE "C",
    text_exact  boolean[],
    PRIMARY KEY (file_id, row_group)
) WITH (toast_tuple_target = 8160);
COMMENT ON TABLE file_bounds IS 'Least and greatest value of every scalar column, of the whole file (row_group -1) and of each row group (only where there are several); array position = slot of the column in file_schemas; NULL, of an element or of an array, = unknown';
COMMENT ON COLUMN file_bounds.file_id IS 'The file';
COMMENT ON COLUMN file_bounds.row_group IS 'Row group, from 0; -1 = the whole file';
COMMENT ON COLUMN file_bounds.num_rows IS 'Rows in it';
COMMENT ON COLUMN file_bounds.null_count IS 'NULLs by position of the column (not by slot); equal to num_rows: the column holds no value here';
COMMENT ON COLUMN file_bounds.int_min IS 'Least value of integer and boolean columns';
COMMENT ON COLUMN file_bounds.int_max IS 'Greatest value of integer and boolean columns';
COMMENT ON COLUMN file_bounds.float_min IS 'Least value of floating-point columns, NaN aside';
COMMENT ON COLUMN file_bounds.float_max IS 'Greatest value of floating-point columns, NaN aside';
COMMENT ON COLUMN file_bounds.float_nan IS 'Whether the floating-point column holds NaN; a footer cannot tell: known (false) only of files that Bifrost wrote';
COMMENT ON COLUMN file_bounds.text_min IS 'No value is less, byte order';
COMMENT ON COLUMN file_bounds.text_max IS 'No value is greater, byte order';
COMMENT ON COLUMN file_bounds.text_exact IS 'Whether text_min and text_max are values of the column; false or NULL: they may be cut short';

CREATE TABLE file_classes (
    file_id   bigint NOT NULL,
    num_rows  bigint NOT NULL,
    z_min     float8,
    z_max     float8,
    zwarn_zero boolean NOT NULL,
    spectype  text COLLATE "C",
    z_bins    smallint[] NOT NULL,
    z_counts  integer[] NOT NULL
);
COMMENT ON TABLE file_classes IS 'Rows of each cataloged file by class: one row per (file, spectype, good redshift or not); together they count every row of the file';
COMMENT ON COLUMN file_classes.file_id IS 'The file';
COMMENT ON COLUMN file_classes.num_rows IS 'Rows of this class';
COMMENT ON COLUMN file_classes.z_min IS 'Least redshift among them; NULL where none has one';
COMMENT ON COLUMN file_classes.z_max IS 'Greatest redshift among them';
COMMENT ON COLUMN file_classes.zwarn_zero IS 'Whether these are the rows with zwarn = 0';
COMMENT ON COLUMN file_classes.spectype IS 'Class; NULL where the row has none';
COMMENT ON COLUMN file_classes.z_bins IS 'Redshift bins that hold some, ascending: bin b is 0.05 b <= z < 0.05 (b + 1), from -2 (and below) to 140 (and above)';
COMMENT ON COLUMN file_classes.z_counts IS 'How many each of z_bins holds';
CREATE INDEX file_classes_file ON file_classes (file_id);

CREATE TABLE file_facts (
    file_id          bigint PRIMARY KEY,
    num_rows         bigint NOT NULL,
    zwarn_zero       bigint NOT NULL,
    negative_ids     bigint NOT NULL,
    without_position bigint NOT NULL,
    good_fibers      bigint NOT NULL,
    bgs              bigint NOT NULL,
    bgs_zwarn_zero   bigint NOT NULL,
    lrg              bigint NOT NULL,
    lrg_zwarn_zero   bigint NOT NULL,
    elg              bigint NOT NULL,
    elg_zwarn_zero   bigint NOT NULL,
    qso              bigint NOT NULL,
    qso_zwarn_zero   bigint NOT NULL,
    mws              bigint NOT NULL,
    mws_zwarn_zero   bigint NOT NULL,
    scnd             bigint NOT NULL,
    scnd_zwarn_zero  bigint NOT NULL,
    other            bigint NOT NULL,
    other_zwarn_zero bigint NOT NULL
);
COMMENT ON TABLE file_facts IS 'Counts over the rows of each cataloged file, for the datasheet';
COMMENT ON COLUMN file_facts.file_id IS 'The file';
COMMENT ON COLUMN file_facts.num_rows IS 'Rows';
COMMENT ON COLUMN file_facts.zwarn_zero IS 'Rows with zwarn = 0';
COMMENT ON COLUMN file_facts.negative_ids IS 'Rows with a negative TARGETID (no real target)';
COMMENT ON COLUMN file_facts.without_position IS 'Rows without a finite position';
COMMENT ON COLUMN file_facts.good_fibers IS 'Rows with coadd_fiberstatus 0 or 8';
COMMENT ON COLUMN file_facts.bgs IS 'Rows targeted by the bright galaxy survey (desi_target bit 60)';
COMMENT ON COLUMN file_facts.bgs_zwarn_zero IS 'Those among them with zwarn = 0';
COMMENT ON COLUMN file_facts.lrg IS 'Rows targeted as luminous red galaxies (bit 0)';
COMMENT ON COLUMN file_facts.lrg_zwarn_zero IS 'Those among them with zwarn = 0';
COMMENT ON COLUMN file_facts.elg IS 'Rows targeted as emission line galaxies (bit 1)';
COMMENT ON COLUMN file_facts.elg_zwarn_zero IS 'Those among them with zwarn = 0';
COMMENT ON COLUMN file_facts.qso IS 'Rows targeted as quasars (bit 2)';
COMMENT ON COLUMN file_facts.qso_zwarn_zero IS 'Those among them with zwarn = 0';
COMMENT ON COLUMN file_facts.mws IS 'Rows targeted by the Milky Way survey (bit 61)';
COMMENT ON COLUMN file_facts.mws_zwarn_zero IS 'Those among them with zwarn = 0';
COMMENT ON COLUMN file_facts.scnd IS 'Rows targeted by secondary programs (bit 62)';
COMMENT ON COLUMN file_facts.scnd_zwarn_zero IS 'Those among them with zwarn = 0';
COMMENT ON COLUMN file_facts.other IS 'Rows targeted by none of these';
COMMENT ON COLUMN file_facts.other_zwarn_zero IS 'Those among them with zwarn = 0';

CREATE TABLE tile_outcomes (
    lake_id   uuid NOT NULL,
    tile      text COLLATE "C" NOT NULL,
    release   text COLLATE "C",
    survey    text COLLATE "C",
    program   text COLLATE "C",
    healpix   integer,
    outcome   text NOT NULL,
    reasons   text[] NOT NULL,
    advice    text,
    at        timestamptz NOT NULL,
    commit_id bigint NOT NULL,
    PRIMARY KEY (lake_id, tile)
);
COMMENT ON TABLE tile_outcomes IS 'Tiles that could not be made: what the lakes'' quarantine folders hold';
COMMENT ON COLUMN tile_outcomes.lake_id IS 'Lake that lacks the tile';
COMMENT ON COLUMN tile_outcomes.tile IS 'RELEASE-SURVEY-PROGRAM-PIXEL, or what is known of it';
COMMENT ON COLUMN tile_outcomes.release IS 'Release, where known';
COMMENT ON COLUMN tile_outcomes.survey IS 'Survey, where known';
COMMENT ON COLUMN tile_outcomes.program IS 'Program, where known';
COMMENT ON COLUMN tile_outcomes.healpix IS 'Pixel (nside 64, NESTED), where known';
COMMENT ON COLUMN tile_outcomes.outcome IS 'missing_source, mismatch, corrupt, checksum_mismatch, archive_error, disk or internal';
COMMENT ON COLUMN tile_outcomes.reasons IS 'What was found';
COMMENT ON COLUMN tile_outcomes.advice IS 'What to do about it';
COMMENT ON COLUMN tile_outcomes.at IS 'When it was found';
COMMENT ON COLUMN tile_outcomes.commit_id IS 'Commit that noted it';

CREATE TABLE catalog_labels (
    label_id          integer PRIMARY KEY,
    zwarn             bigint,
    coadd_fiberstatus integer,
    healpix           integer,
    release           text COLLATE "C",
    survey            text COLLATE "C",
    program           text COLLATE "C",
    spectype          text COLLATE "C",
    subtype           text COLLATE "C",
    objtype           text COLLATE "C"
);
COMMENT ON TABLE catalog_labels IS 'What many rows of the catalog share, each combination once';
COMMENT ON COLUMN catalog_labels.label_id IS 'Number of the combination';
COMMENT ON COLUMN catalog_labels.zwarn IS 'Warnings of the redshift fit; 0 = none';
COMMENT ON COLUMN catalog_labels.coadd_fiberstatus IS 'Fibre status bits; good = 0 or 8';
COMMENT ON COLUMN catalog_labels.healpix IS 'Pixel of the row''s tile where it is not that of its file; so are release, survey and program';
COMMENT ON COLUMN catalog_labels.release IS 'Release';
COMMENT ON COLUMN catalog_labels.survey IS 'Survey';
COMMENT ON COLUMN catalog_labels.program IS 'Program';
COMMENT ON COLUMN catalog_labels.spectype IS 'Class: GALAXY, QSO or STAR';
COMMENT ON COLUMN catalog_labels.subtype IS 'Subclass';
COMMENT ON COLUMN catalog_labels.objtype IS 'TGT: target; SKY, BAD or empty: not';

-- Tens of millions of rows, loaded in one go: as few and as narrow columns as will do. Updates of
-- is_primary stay on their page, so that pages keep to one stretch of the sky.
CREATE TABLE catalog_rows (
    file_id     bigint NOT NULL,
    target_id   bigint NOT NULL,
    healpix_29  bigint,
    ra          float8,
    dec         float8,
    z           float8,
    zerr        float8,
    deltachi2   float8,
    desi_target bigint,
    row_index   integer NOT NULL,
    label_id    integer NOT NULL,
    tsnr2_lrg   real,
    is_primary  boolean NOT NULL
) WITH (fillfactor = 95);
COMMENT ON TABLE catalog_rows IS 'What the view catalog is made of';
CREATE INDEX catalog_rows_target_id ON catalog_rows (target_id);
-- a file's rows lie together, and so do those of a stretch of the sky
CREATE INDEX catalog_rows_place ON catalog_rows USING brin (file_id, healpix_29)
    WITH (pages_per_range = 32, autosummarize = on);

-- outer joins: a query that asks for none of their columns does without them
CREATE VIEW catalog AS
SELECT r.file_id, r.target_id, r.healpix_29, r.ra, r.dec, r.z, r.zerr, r.deltachi2, l.zwarn,
       r.desi_target, r.row_index, coalesce(l.healpix, f.healpix) AS healpix,
       l.coadd_fiberstatus, r.tsnr2_lrg, r.is_primary,
       coalesce(l.release, f.release) AS release, coalesce(l.survey, f.survey) AS survey,
       coalesce(l.program, f.program) AS program, l.spectype, l.subtype, l.objtype
FROM catalog_rows r
LEFT JOIN catalog_labels l USING (label_id)
LEFT JOIN file_registry f USING (file_id);
COMMENT ON VIEW catalog IS 'Every object of the live spectra files: one row per row that has a TARGETID; key (release, survey, program, healpix, target_id)';
COMMENT ON COLUMN catalog.file_id IS 'File that holds the row';
COMMENT ON COLUMN catalog.target_id IS 'TARGETID; negative: no real target';
COMMENT ON COLUMN catalog.healpix_29 IS 'HEALPix order-29 NESTED number of the position';
COMMENT ON COLUMN catalog.ra IS 'Right ascension, ICRS, degrees';
COMMENT ON COLUMN catalog.dec IS 'Declination, ICRS, degrees';
COMMENT ON COLUMN catalog.z IS 'Redshift';
COMMENT ON COLUMN catalog.zerr IS 'Error of the redshift';
COMMENT ON COLUMN catalog.deltachi2 IS 'Difference of chi2 to the next best fit';
COMMENT ON COLUMN catalog.zwarn IS 'Warnings of the redshift fit; 0 = none';
COMMENT ON COLUMN catalog.desi_target IS 'Target selection bits';
COMMENT ON COLUMN catalog.row_index IS 'Row in the file, from 0';
COMMENT ON COLUMN catalog.healpix IS 'Pixel of the tile (nside 64, NESTED)';
COMMENT ON COLUMN catalog.coadd_fiberstatus IS 'Fibre status bits; good = 0 or 8';
COMMENT ON COLUMN catalog.tsnr2_lrg IS 'Template signal-to-noise squared for LRGs';
COMMENT ON COLUMN catalog.is_primary IS 'True for one row of each TARGETID over all files: zwarn = 0 first, then the larger tsnr2_lrg, then release, survey, program, healpix, row_index';
COMMENT ON COLUMN catalog.release IS 'Release of the tile';
COMMENT ON COLUMN catalog.survey IS 'Survey of the tile';
COMMENT ON COLUMN catalog.program IS 'Program of the tile';
COMMENT ON COLUMN catalog.spectype IS 'Class: GALAXY, QSO or STAR';
COMMENT ON COLUMN catalog.subtype IS 'Subclass';
COMMENT ON COLUMN catalog.objtype IS 'TGT: target; SKY, BAD or empty: not';
