-- Least and greatest redshift of each class and quality beside the cells, and cells that can be
-- believed without a look at the file's row.
--
--   * A cell is 0.05 wide: whether the farthest galaxy of a file lies before or behind an end within
--     it, only the end itself tells.
--   * file_cells holds files that are live and in the catalog, and no others: an index over cells
--     alone leads to files that may be read. Whatever takes a file out takes its cells along, in the
--     same statement.

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
