-- What changed since a commit, without reading every file's row: rows are added in the order of
-- their commits, so that for the first of the two a summary of pages will do.
CREATE INDEX file_registry_added ON file_registry USING brin (added_commit)
    WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX file_registry_removed ON file_registry (removed_commit) WHERE removed_commit IS NOT NULL;
