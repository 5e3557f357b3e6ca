-- Tables of people's own beside the registry: whatever SQL gives TARGETIDs leads to files and rows.
--
--   SELECT node, path, row_indexes FROM files_of_query('SELECT targetid FROM galaxies WHERE mass > 11');
--   SELECT path, rows_wanted FROM files_of_targets('{39627652591521181, 39627652591521190}');
--   SELECT g.mass, o.z, o.path, o.row_index FROM galaxies g JOIN objects o ON o.target_id = g.targetid;
--
--   * All of it runs with the rights of whoever asks, and changes nothing.
--   * Rows are told of files that the catalog knows, and of products that were made of them row by
--     row. Of other files it is not known which rows are wanted: row_indexes is NULL.

-- A look-up that finds file and row in the index need not visit the row of the catalog: those of a
-- million objects lie all over it.
CREATE INDEX catalog_rows_target ON catalog_rows (target_id) INCLUDE (file_id, row_index);
DROP INDEX catalog_rows_target_id;

CREATE FUNCTION targets_of_query(query text) RETURNS bigint[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    asked   text := rtrim(query, E' \t\r\n;');
    cursor  refcursor;
    kind    regtype;
    targets bigint[];
BEGIN
    -- what can be opened as a cursor by something that is not volatile is one query, and only reads;
    -- after that it can be put in parentheses
    BEGIN
        OPEN cursor FOR EXECUTE asked;
        CLOSE cursor;
    EXCEPTION WHEN feature_not_supported OR invalid_cursor_definition THEN
        RAISE EXCEPTION 'one query is wanted, and one that only reads: %', SQLERRM USING ERRCODE = SQLSTATE;
    END;
    EXECUTE format(E'SELECT pg_typeof((SELECT * FROM (%s\n) AS asked LIMIT 0))', asked) INTO kind;
    IF kind NOT IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) THEN
        RAISE EXCEPTION 'the query gives values of type %, and TARGETIDs are integers', kind
            USING ERRCODE = 'datatype_mismatch', HINT = 'cast the column to bigint, if it holds whole numbers';
    END IF;
    EXECUTE format(E'SELECT ARRAY(%s\n)::bigint[]', asked) INTO targets;
    RETURN targets;
END
$$;
COMMENT ON FUNCTION targets_of_query IS 'What a query of one column of integers gives; it may not write. Example: SELECT cardinality(targets_of_query(''SELECT targetid FROM galaxies''))';

-- The array goes to the index as it is, sorted there: one probe an id. A join instead of it is planned
-- for any tables: as a hash join it reads the whole catalog, as a nested loop it costs a rescan for
-- each id (tests/bench/tables.py compares them). Compiling such a query costs more than it saves, and
-- a catalog of which little is in memory must not be read through because that looks cheaper.
CREATE FUNCTION rows_of_targets(targets bigint[], product text DEFAULT 'spectra')
RETURNS TABLE (file_id bigint, row_indexes integer[]) LANGUAGE sql STABLE ROWS 10000
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET work_mem = '128MB' AS $$
    WITH found AS MATERIALIZED (
        SELECT c.file_id, array_agg(c.row_index) AS row_indexes
        FROM catalog_rows c
        WHERE c.target_id = ANY (rows_of_targets.targets)
        GROUP BY c.file_id)
    SELECT f.file_id, found.row_indexes
    FROM found
    JOIN file_registry f USING (file_id)
    WHERE f.product = rows_of_targets.product AND f.has_cells
    UNION ALL
    -- the same rows of files that were made of them
    (SELECT DISTINCT ON (f.file_id) f.file_id, found.row_indexes
     FROM found
     JOIN file_registry s USING (file_id)
     JOIN file_registry f ON f.healpix = s.healpix AND f.program = s.program AND f.survey = s.survey
                         AND f.release = s.release AND f.lake_id = s.lake_id AND f.order_hash = s.order_hash
     WHERE s.has_cells AND s.product <> f.product AND f.product = rows_of_targets.product
       AND f.state = 'live' AND f.is_ours AND NOT f.has_cells
     ORDER BY f.file_id)
$$;
COMMENT ON FUNCTION rows_of_targets IS 'In which rows (from 0, in the order of their TARGETIDs) which files of a product hold objects, as far as the catalog tells. Example: SELECT sum(cardinality(row_indexes)) FROM rows_of_targets(targets_of_query(''SELECT targetid FROM galaxies''))';

CREATE FUNCTION files_of_targets(targets bigint[], product text DEFAULT 'spectra')
RETURNS TABLE (file_id bigint, node text, path text, uris text[], num_rows bigint, rows_wanted integer,
               row_indexes integer[])
LANGUAGE sql STABLE ROWS 10000 AS $$
    WITH located AS MATERIALIZED (
        SELECT * FROM rows_of_targets(files_of_targets.targets, files_of_targets.product)),
    listed AS (
        SELECT l.file_id, l.row_indexes FROM located l
        UNION ALL
        -- of these it is not known: all that may hold one are listed
        SELECT r.file_id, NULL
        FROM file_registry r
        WHERE r.state = 'live' AND NOT r.has_cells AND r.product = files_of_targets.product
          AND r.num_rows > 0 AND r.file_id NOT IN (SELECT l.file_id FROM located l)
          AND coalesce(r.target_id_max >= (SELECT min(target) FROM unnest(files_of_targets.targets) AS target), true)
          AND coalesce(r.target_id_min <= (SELECT max(target) FROM unnest(files_of_targets.targets) AS target), true)
          AND array_length(array_remove(files_of_targets.targets, NULL), 1) > 0)
    SELECT f.file_id, f.node, f.path,
           ARRAY(SELECT rtrim(prefix, '/') || f.path FROM unnest(n.uri_prefixes) AS prefix),
           f.num_rows, cardinality(x.row_indexes), x.row_indexes
    FROM listed x
    JOIN files f USING (file_id)
    JOIN nodes n USING (node)
$$;
COMMENT ON FUNCTION files_of_targets IS 'Files of a product that hold objects: absolute path on its node, what opens it from elsewhere, and in which rows (from 0) the objects are; NULL: not known, any row may be one. Example: SELECT node, path, row_indexes FROM files_of_targets(''{39627652591521181}'')';

CREATE FUNCTION files_of_query(query text, product text DEFAULT 'spectra')
RETURNS TABLE (file_id bigint, node text, path text, uris text[], num_rows bigint, rows_wanted integer,
               row_indexes integer[])
LANGUAGE sql STABLE ROWS 10000 AS $$
    SELECT * FROM files_of_targets(targets_of_query(files_of_query.query), files_of_query.product)
$$;
COMMENT ON FUNCTION files_of_query IS 'files_of_targets for the TARGETIDs that a query gives, which must have one column of integers and may not write. Example: SELECT node, path, row_indexes FROM files_of_query(''SELECT targetid FROM galaxies WHERE mass > 11'')';
