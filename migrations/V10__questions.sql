-- What makes questions short, and what those about several products need.
--
--   * A cell is 0.05 wide: whether the farthest galaxy of a file lies before or behind an end within
--     it, only the end itself tells.
--   * file_cells holds files that are live and in the catalog, and no others: an index over cells
--     alone leads to files that may be read. Whatever takes a file out takes its cells along, in the
--     same statement.
--   * Files of one tile zip, row by row, if they have the same rows in the same order; a file that was
--     made of something that is live no longer does not, for it speaks of other spectra.

ALTER TABLE file_cells ADD COLUMN ends real[];
ALTER TABLE past_cells ADD COLUMN ends real[];
COMMENT ON COLUMN file_cells.ends IS 'Least and greatest redshift, rounded outward, of each combination of class and quality: elements 2 k + 1 and 2 k + 2 of combination k = 2 class + good, numbered as in cells; NULL: no object of it has a redshift. All NULL: not known';
COMMENT ON COLUMN past_cells.ends IS 'As in file_cells';

CREATE FUNCTION class_ends(of_file bigint) RETURNS real[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(e.z::real ORDER BY k.kind, e.is_max)
    FROM generate_series(0, 7) AS k (kind)
    LEFT JOIN LATERAL (
        SELECT min(c.z_min) AS z_min, max(c.z_max) AS z_max
        FROM file_classes c
        WHERE c.file_id = of_file
          AND k.kind = c.zwarn_zero::integer + 2 * CASE c.spectype
                  WHEN 'GALAXY' THEN 0 WHEN 'QSO' THEN 1 WHEN 'STAR' THEN 2 ELSE 3 END) AS c ON true
    -- a real has 24 bits: what it rounds away is less than a part in ten million
    CROSS JOIN LATERAL (VALUES (false, c.z_min - abs(c.z_min) * 1e-6),
                               (true, c.z_max + abs(c.z_max) * 1e-6)) AS e (is_max, z)
$$;
UPDATE file_cells SET ends = class_ends(file_id);
DROP FUNCTION class_ends;

DELETE FROM file_cells x USING file_registry f
WHERE f.file_id = x.file_id AND NOT (f.state = 'live' AND f.in_catalog);

CREATE FUNCTION forget_cells() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH gone AS (
        DELETE FROM file_cells x USING now JOIN before USING (file_id)
        WHERE x.file_id = now.file_id
          AND before.state = 'live' AND before.in_catalog
          AND NOT (now.state = 'live' AND now.in_catalog)
        RETURNING x.*)
    INSERT INTO past_cells SELECT * FROM gone ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION forget_cells IS 'Takes the cells of files that are live no longer, or no longer in the catalog, to where only questions about then look';
CREATE TRIGGER forget_cells AFTER UPDATE ON file_registry
    REFERENCING OLD TABLE AS before NEW TABLE AS now
    FOR EACH STATEMENT EXECUTE FUNCTION forget_cells();

-- which schemas and products there are, by hops over the index
CREATE INDEX file_registry_schemas ON file_registry (product, schema_id) WHERE state = 'live';

-- Whether everything that a file was made of is live (as of a commit, if one is given), and what that
-- was made of, and so on. A file that tells no parent was made of nothing.
CREATE FUNCTION is_made_of_live(file bigint, as_of bigint DEFAULT NULL) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH RECURSIVE made AS (
        SELECT f.* FROM file_registry f WHERE f.file_id = file
        UNION
        SELECT q.* FROM made f
        JOIN file_parents p ON p.file_id = f.file_id
        CROSS JOIN LATERAL (
            SELECT n.* FROM file_registry n
            WHERE as_of IS NULL AND n.state = 'live' AND n.product = p.product
              AND (n.healpix, n.program, n.survey, n.release) = (f.healpix, f.program, f.survey, f.release)
            UNION ALL
            SELECT n.* FROM files_as_of(as_of) n
            WHERE as_of IS NOT NULL AND n.product = p.product
              AND (n.healpix, n.program, n.survey, n.release) = (f.healpix, f.program, f.survey, f.release)) AS q
        WHERE q.lake_id = f.lake_id AND q.order_hash = p.order_hash
          AND CASE WHEN q.content IS NULL THEN (q.size_bytes, q.mtime_ns) = (p.size_bytes, p.mtime_ns)
                   ELSE q.content = p.content END)
    SELECT NOT EXISTS (
        SELECT FROM made f JOIN file_parents p USING (file_id)
        WHERE NOT EXISTS (SELECT FROM made q WHERE q.product = p.product))
$$;
COMMENT ON FUNCTION is_made_of_live IS 'Whether all that a file was made of, directly or not, is live, or was as of a commit: what is not made so is stale. Example: SELECT path FROM file_registry WHERE state = ''live'' AND NOT is_made_of_live(file_id)';
