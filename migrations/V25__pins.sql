-- Pins outlive the registry's numbers, and a past that is forgotten is told.

-- A pin names a version of a file by itself: so it holds when the registry is made anew, which gives
-- other numbers, and when the lake was copied to another disk, which gives other inodes.
DROP TRIGGER snapshot_pins_check ON snapshot_pins;
ALTER TABLE snapshot_pins
    ADD COLUMN lake_id uuid,
    ADD COLUMN size_bytes bigint,
    ADD COLUMN mtime_ns bigint,
    ADD COLUMN inode bigint;
UPDATE snapshot_pins p SET (lake_id, size_bytes, mtime_ns, inode) = (f.lake_id, f.size_bytes, f.mtime_ns, f.inode)
FROM file_registry f WHERE f.file_id = p.file_id;
-- numbers of no file never kept any
DELETE FROM snapshot_pins WHERE lake_id IS NULL;
ALTER TABLE snapshot_pins
    ALTER COLUMN lake_id SET NOT NULL,
    ALTER COLUMN size_bytes SET NOT NULL,
    ALTER COLUMN mtime_ns SET NOT NULL,
    ALTER COLUMN inode SET NOT NULL;
DROP INDEX snapshot_pins_file;
CREATE INDEX snapshot_pins_version ON snapshot_pins (lake_id, mtime_ns);
COMMENT ON COLUMN snapshot_pins.file_id IS 'Version of a file that it names, by its number in the registry that saved it';
COMMENT ON COLUMN snapshot_pins.lake_id IS 'Lake that held it; what says which version it is comes from file_registry where only the number is given';
COMMENT ON COLUMN snapshot_pins.size_bytes IS 'Its size';
COMMENT ON COLUMN snapshot_pins.mtime_ns IS 'Its modification time, nanoseconds since 1970; gc keeps what has both';
COMMENT ON COLUMN snapshot_pins.inode IS 'Its inode number (the bits of a 64-bit unsigned one)';

CREATE OR REPLACE FUNCTION snapshot_pins_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.lake_id IS NULL THEN
        SELECT f.lake_id, f.size_bytes, f.mtime_ns, f.inode
        INTO NEW.lake_id, NEW.size_bytes, NEW.mtime_ns, NEW.inode
        FROM file_registry f WHERE f.file_id = NEW.file_id;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no file %', NEW.file_id;
        END IF;
    END IF;
    IF EXISTS (
        SELECT FROM file_registry f
        WHERE f.lake_id = NEW.lake_id AND f.removed_commit IS NOT NULL AND f.inode = NEW.inode
          AND f.size_bytes = NEW.size_bytes AND f.mtime_ns = NEW.mtime_ns AND f.state = 'deleted')
       OR EXISTS (
        SELECT FROM gc_marks m
        WHERE m.step = 'unlinking' AND m.lake_id = NEW.lake_id
          AND m.size_bytes = NEW.size_bytes AND m.mtime_ns = NEW.mtime_ns)
    THEN
        RAISE EXCEPTION 'file % is deleted', NEW.file_id
            USING HINT = 'a snapshot can only name files that are there';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION snapshot_pins_check IS 'Says which version a pin names; refuses to pin what gc has deleted, or is about to';
CREATE TRIGGER snapshot_pins_check BEFORE INSERT OR UPDATE ON snapshot_pins
    FOR EACH ROW EXECUTE FUNCTION snapshot_pins_check();

CREATE FUNCTION is_remembered(as_of bigint) RETURNS boolean
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
    first bigint;
    latest bigint;
BEGIN
    SELECT min(commit_id), max(commit_id) INTO first, latest FROM commits;
    IF as_of > coalesce(latest, 0) THEN
        RAISE EXCEPTION 'there is no commit % yet: the latest is %', as_of, coalesce(latest, 0)
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF as_of BETWEEN 1 AND first - 1 THEN
        RAISE EXCEPTION 'the registry remembers nothing from before commit %', first
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'what was before is in the backup of an earlier registry, if there is one';
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION is_remembered IS 'True where the registry knows what was as of a commit; else an error that says why not';

-- as it was, and asked first, once: whether the registry can know
CREATE OR REPLACE FUNCTION files_as_of(as_of bigint) RETURNS SETOF file_registry
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT * FROM file_registry f
    WHERE is_remembered(as_of)
      AND f.added_commit <= as_of
      AND (f.removed_commit IS NULL OR f.removed_commit > as_of)
      AND (f.quarantined_commit IS NULL OR f.quarantined_commit > as_of)
      AND f.num_rows IS NOT NULL
$$;

-- It runs with its owner's rights: names of the caller's temporary tables come last.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION sort_in_cells() SET search_path = %s, pg_temp', current_setting('search_path'));
END
$$;
