-- Time travel: what the registry said as of any of its commits.
--
--   file_registry ──< past_bounds, past_cells      what was known of a version that is live no longer
--   commits          who did what, and under which key
--
--   * A version was live from its added_commit until its removed_commit or quarantined_commit. What is
--     known of it never changes, so that the answer as of a commit is the same whenever it is asked.
--   * Questions about now never look at what was: bounds and cells of versions that are live no longer
--     lie in tables of their own. Once gc has unlinked a version its bounds are forgotten, all but the
--     few that lie in its own row: of what cannot be read more may be named than then.
--   * The catalog only knows now: as of an earlier commit, a file that is live no longer is found by
--     the bounds of its TARGETIDs. More files than then may be named, never fewer.

CREATE TABLE registry_identity (
    registry_id uuid NOT NULL DEFAULT gen_random_uuid()
);
COMMENT ON TABLE registry_identity IS 'One row: which registry this is';
COMMENT ON COLUMN registry_identity.registry_id IS 'Another once it was made anew: then numbers of files mean other files';
INSERT INTO registry_identity DEFAULT VALUES;

ALTER TABLE commits
    ADD COLUMN action text COLLATE "C",
    ADD COLUMN committed_by text,
    ADD COLUMN key text COLLATE "C" NOT NULL DEFAULT gen_random_uuid()::text;
ALTER TABLE commits ALTER COLUMN committed_by SET DEFAULT session_user;
-- twice the same key in a lake is twice the same commit, and the second is none
CREATE UNIQUE INDEX commits_key ON commits (lake_id, key);
COMMENT ON COLUMN commits.action IS 'What made it: sync, run (a campaign), stage, verify (a repair), forget (of a node); NULL where nobody noted it';
COMMENT ON COLUMN commits.committed_by IS 'Role of the database that made it; NULL where nobody noted it';
COMMENT ON COLUMN commits.key IS 'Idempotency key: whoever repeats a commit under the key that it has does nothing';

ALTER TABLE file_registry
    ADD COLUMN quarantined_commit bigint,
    ADD COLUMN cataloged_commit bigint;
COMMENT ON COLUMN file_registry.quarantined_commit IS 'Commit that found it damaged after it was live; NULL: none did, or it was never live (then num_rows is NULL)';
COMMENT ON COLUMN file_registry.cataloged_commit IS 'Commit that brought its rows into the catalog, where that was later than added_commit';
-- when, is not known: as of earlier commits they are named
UPDATE file_registry SET quarantined_commit = (SELECT max(commit_id) FROM commits)
WHERE state = 'quarantined' AND num_rows IS NOT NULL;

CREATE TABLE past_bounds (LIKE file_bounds INCLUDING COMMENTS, PRIMARY KEY (file_id, row_group));
COMMENT ON TABLE past_bounds IS 'file_bounds of versions that are live no longer, until gc unlinks them';
CREATE TABLE past_cells (LIKE file_cells INCLUDING COMMENTS, PRIMARY KEY (file_id));
COMMENT ON TABLE past_cells IS 'file_cells of versions that are live no longer, or no longer in the catalog';

CREATE VIEW bounds_ever AS SELECT * FROM file_bounds UNION ALL SELECT * FROM past_bounds;
COMMENT ON VIEW bounds_ever IS 'Bounds of all versions of which some are known, live or not';

CREATE FUNCTION forget_past() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM past_bounds WHERE file_id = NEW.file_id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION forget_past IS 'Forgets the bounds of a version that gc has unlinked';
CREATE TRIGGER forget_past AFTER UPDATE OF state ON file_registry
    FOR EACH ROW WHEN (NEW.state = 'deleted') EXECUTE FUNCTION forget_past();

-- plain SQL, so that it becomes part of the query that calls it
CREATE FUNCTION files_as_of(as_of bigint) RETURNS SETOF file_registry
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT * FROM file_registry f
    WHERE f.added_commit <= as_of
      AND (f.removed_commit IS NULL OR f.removed_commit > as_of)
      AND (f.quarantined_commit IS NULL OR f.quarantined_commit > as_of)
      AND f.num_rows IS NOT NULL
$$;
COMMENT ON FUNCTION files_as_of IS 'Versions of files that were live as of a commit. Example: SELECT product, count(*), sum(num_rows) FROM files_as_of(7) GROUP BY product';
