-- Intents of spectra stores: a pixel's store appears in a lake together with its tiles' files, and is taken
-- back with them.

CREATE TABLE campaign_store_intents (
    token      bigint PRIMARY KEY,
    publish_id uuid NOT NULL,
    lake_id    uuid NOT NULL,
    size_bytes bigint NOT NULL,
    mtime_ns   bigint NOT NULL,
    inode      bigint NOT NULL,
    path       text COLLATE "C" NOT NULL
);
CREATE INDEX campaign_store_intents_lake ON campaign_store_intents (lake_id);
COMMENT ON TABLE campaign_store_intents IS 'Spectra stores that are about to appear in lakes, or have and are not registered yet';
COMMENT ON COLUMN campaign_store_intents.token IS 'Lease under which it was made: of its pixel';
COMMENT ON COLUMN campaign_store_intents.publish_id IS 'Folder of .bifrost/replaced that its predecessor moves to';
COMMENT ON COLUMN campaign_store_intents.lake_id IS 'Lake that it appears in';
COMMENT ON COLUMN campaign_store_intents.size_bytes IS 'Size of the file';
COMMENT ON COLUMN campaign_store_intents.mtime_ns IS 'Its modification time, nanoseconds since 1970';
COMMENT ON COLUMN campaign_store_intents.inode IS 'Its inode number (the bits of a 64-bit unsigned one)';
COMMENT ON COLUMN campaign_store_intents.path IS 'Its final path, relative to the lake';
