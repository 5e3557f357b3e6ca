-- What was live as of a commit is what is live now and came before, and what has changed since: the former is
-- found as now, the latter by an index.

ALTER TABLE file_registry ADD COLUMN uncataloged_commit bigint;
COMMENT ON COLUMN file_registry.uncataloged_commit IS 'Commit that took its rows out of the catalog while it was live; NULL: none did, or a later one brought them back';
-- when, is not known: as of earlier commits they count as cataloged
UPDATE file_registry f SET uncataloged_commit = (SELECT max(commit_id) FROM commits)
WHERE state = 'live' AND NOT in_catalog AND EXISTS (SELECT FROM past_cells p WHERE p.file_id = f.file_id);

CREATE INDEX file_registry_changed ON file_registry
    (greatest(removed_commit, quarantined_commit, cataloged_commit, uncataloged_commit))
    WHERE greatest(removed_commit, quarantined_commit, cataloged_commit, uncataloged_commit) IS NOT NULL;
