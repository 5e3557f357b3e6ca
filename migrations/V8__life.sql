-- Life of a file: staged → live → replaced, superseded, missing or quarantined → deleted.
--
--   file_registry ──< snapshot_pins      gc_marks: one row a file on its way out
--
--   * Staged is what lies in a lake's .bifrost/staging; the registry does not know it.
--   * Nothing is deleted but by `bifrost gc`, in steps: a file is marked, moved after a grace period,
--     unlinked after another. Before each the pins are asked: what a saved snapshot names stays.
--   * A version of a file is known by size, time and inode: a rename changes none of them, so that
--     what lies in .bifrost/replaced is told apart without being read.

ALTER TABLE file_registry
    DROP CONSTRAINT file_registry_state_check,
    ADD CONSTRAINT file_registry_state_check CHECK (state IN (
        'live', 'quarantined', 'missing', 'replaced', 'superseded', 'deleted'));
COMMENT ON COLUMN file_registry.state IS 'live: may be read; quarantined: there, but cannot be read (see reason); missing: vanished; replaced: a newer version or another file of the tile took its place, or nobody misses it because it could not be read; superseded: another lake has made its tile since; deleted: its bytes were unlinked by gc';

-- what lies in .bifrost is looked up by its version
CREATE INDEX file_registry_gone ON file_registry (lake_id, inode) WHERE removed_commit IS NOT NULL;

CREATE TABLE snapshot_pins (
    snapshot text COLLATE "C" NOT NULL,
    file_id  bigint NOT NULL,
    pinned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (snapshot, file_id)
);
CREATE INDEX snapshot_pins_file ON snapshot_pins (file_id);
COMMENT ON TABLE snapshot_pins IS 'Versions of files that saved snapshots name: gc keeps their bytes. To let go of a snapshot, delete its rows';
COMMENT ON COLUMN snapshot_pins.snapshot IS 'Name of the snapshot';
COMMENT ON COLUMN snapshot_pins.file_id IS 'Version of a file that it names';
COMMENT ON COLUMN snapshot_pins.pinned_at IS 'When it was pinned (UTC)';

CREATE TABLE gc_marks (
    lake_id    uuid NOT NULL,
    size_bytes bigint NOT NULL,
    mtime_ns   bigint NOT NULL,
    inode      bigint NOT NULL,
    marked_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    moved_at   timestamptz,
    step       text COLLATE "C" NOT NULL DEFAULT 'marked' CHECK (step IN ('marked', 'moved', 'unlinking')),
    kind       text COLLATE "C" NOT NULL,
    path       text COLLATE "C" NOT NULL,
    PRIMARY KEY (lake_id, path),
    CHECK ((moved_at IS NULL) = (step = 'marked'))
);
COMMENT ON TABLE gc_marks IS 'Files below the .bifrost folders of lakes that gc is about to take away';
COMMENT ON COLUMN gc_marks.lake_id IS 'Lake that holds it';
COMMENT ON COLUMN gc_marks.size_bytes IS 'Its size: what is another file is not taken';
COMMENT ON COLUMN gc_marks.mtime_ns IS 'Its modification time, nanoseconds since 1970';
COMMENT ON COLUMN gc_marks.inode IS 'Its inode number (the bits of a 64-bit unsigned one)';
COMMENT ON COLUMN gc_marks.marked_at IS 'When it was marked (UTC): the first grace period begins';
COMMENT ON COLUMN gc_marks.moved_at IS 'When it was found in .bifrost/gc (UTC): the second grace period begins';
COMMENT ON COLUMN gc_marks.step IS 'marked: it lies where it lay; moved: it lies in .bifrost/gc; unlinking: it may be gone at any moment';
COMMENT ON COLUMN gc_marks.kind IS 'replaced: a file that had its time in the lake; digest: a note of digests that nobody needs; partial: what a process left half done';
COMMENT ON COLUMN gc_marks.path IS 'Where it lay, relative to .bifrost';

-- gc holds a lock on snapshot_pins while it decides to unlink; who comes after that is told here
CREATE FUNCTION snapshot_pins_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM file_registry f
        WHERE f.file_id = NEW.file_id
          AND (f.state = 'deleted' OR EXISTS (
              SELECT FROM gc_marks m
              WHERE m.step = 'unlinking' AND m.lake_id = f.lake_id
                AND (m.size_bytes, m.mtime_ns, m.inode) = (f.size_bytes, f.mtime_ns, f.inode))))
    THEN
        RAISE EXCEPTION 'file % is deleted', NEW.file_id
            USING HINT = 'a snapshot can only name files that are there';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION snapshot_pins_check IS 'Refuses to pin what gc has deleted, or is about to';
CREATE TRIGGER snapshot_pins_check BEFORE INSERT OR UPDATE ON snapshot_pins
    FOR EACH ROW EXECUTE FUNCTION snapshot_pins_check();

-- Who may do what. The roles belong to the whole server and cannot log in: an administrator grants
-- them (GRANT bifrost_reader TO ada). Where whoever migrates may not make roles, there are none until
-- somebody makes them and the owner of the tables calls registry_grants().
CREATE FUNCTION registry_grants() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    mine record;
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['bifrost_reader', 'bifrost_writer'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        EXCEPTION
            -- another database of the server has made it, or is making it
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN RAISE NOTICE 'role % is not made: %', role, SQLERRM;
        END;
    END LOOP;
    -- before version 15 everybody may make tables here
    IF pg_has_role((SELECT nspowner FROM pg_namespace WHERE nspname = current_schema()), 'USAGE') THEN
        EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema());
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'bifrost_reader') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO bifrost_reader', current_schema());
        ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bifrost_reader;
        FOR mine IN SELECT oid::regclass AS name FROM pg_class
                    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v')
                      AND relowner = current_user::regrole LOOP
            EXECUTE format('GRANT SELECT ON %s TO bifrost_reader', mine.name);
        END LOOP;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'bifrost_writer') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO bifrost_writer', current_schema());
        ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO bifrost_writer;
        ALTER DEFAULT PRIVILEGES GRANT USAGE, UPDATE ON SEQUENCES TO bifrost_writer;
        FOR mine IN SELECT oid::regclass AS name, relkind FROM pg_class
                    WHERE relnamespace = current_schema()::regnamespace
                      AND relkind IN ('r', 'v', 'S') AND relowner = current_user::regrole
                      AND relname <> 'refinery_schema_history' LOOP
            EXECUTE format(CASE mine.relkind
                WHEN 'S' THEN 'GRANT USAGE, UPDATE ON %s TO bifrost_writer'
                WHEN 'v' THEN 'GRANT SELECT ON %s TO bifrost_writer'
                ELSE 'GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO bifrost_writer' END, mine.name);
        END LOOP;
        GRANT SELECT ON refinery_schema_history TO bifrost_writer;
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION registry_grants FROM PUBLIC;
COMMENT ON FUNCTION registry_grants IS 'Makes the roles if it may; gives bifrost_reader the right to see all tables and views of the registry, and bifrost_writer the right to change rows; neither may make, alter or drop anything';
SELECT registry_grants();
