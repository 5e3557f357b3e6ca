-- The functions for psql name an unknown product, as the program does, instead of an empty answer: a slip of
-- the pen looks like "there is none". SQL may end in a comment.

CREATE FUNCTION is_product(product text) RETURNS boolean
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
BEGIN
    -- one that is gone is no slip of the pen, nor is any before there are files
    IF EXISTS (SELECT FROM file_registry f WHERE f.state = 'live' AND f.product = is_product.product)
       OR NOT EXISTS (SELECT FROM file_registry f WHERE f.state = 'live')
       OR EXISTS (SELECT FROM file_registry f WHERE f.product = is_product.product)
    THEN
        RETURN true;
    END IF;
    RAISE EXCEPTION 'no product %: the registry has %', quote_literal(product),
        (SELECT string_agg(p.product, ', ' ORDER BY p.product COLLATE "C") FROM (SELECT DISTINCT f.product FROM files f) p)
        USING ERRCODE = 'invalid_parameter_value';
END
$$;
COMMENT ON FUNCTION is_product IS 'True where the registry has, or had, files of a product; else an error that says which there are';

-- as they were, and asked first, once: whether there is such a product
CREATE OR REPLACE FUNCTION files_on_sky(sky int8multirange, product text DEFAULT 'spectra') RETURNS SETOF files
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH pixels AS (
        SELECT range_agg(int4range((coalesce(lower(part), 0) >> 46)::int4,
                                   (coalesce(upper(part) - 1, 12::int8 << 58) >> 46)::int4, '[]')) AS covered
        FROM unnest(files_on_sky.sky) AS part
    )
    SELECT f.* FROM files f
    -- an array: whatever the planner thinks of them, they are found once
    WHERE is_product(files_on_sky.product) AND f.product = files_on_sky.product AND f.file_id = ANY (ARRAY(
        -- tiles, by a look-up for each run of pixels
        SELECT r.file_id FROM pixels, unnest(pixels.covered) AS run, LATERAL (
            SELECT t.file_id, t.sky FROM file_registry t
            WHERE t.state = 'live' AND t.healpix >= lower(run) AND t.healpix < upper(run)
              AND t.product = files_on_sky.product
              AND t.sky <@ int8range(t.healpix::int8 << 46, (t.healpix::int8 + 1) << 46)
            OFFSET 0) AS r
        WHERE r.sky && files_on_sky.sky
        UNION ALL
        SELECT r.file_id FROM file_registry r
        WHERE r.state = 'live' AND r.sky && files_on_sky.sky
          AND (r.healpix IS NULL OR NOT r.sky <@ int8range(r.healpix::int8 << 46, (r.healpix::int8 + 1) << 46))
        UNION ALL
        SELECT r.file_id FROM file_registry r
        WHERE r.state = 'live' AND r.product = files_on_sky.product AND r.sky IS NULL
          AND files_on_sky.sky IS NOT NULL))
$$;

CREATE OR REPLACE FUNCTION files_with(
    z         numrange  DEFAULT NULL,
    spectype  text[]    DEFAULT NULL,
    zwarn     int8range DEFAULT NULL,
    deltachi2 numrange  DEFAULT NULL,
    target_id bigint[]  DEFAULT NULL,
    survey    text[]    DEFAULT NULL,
    program   text[]    DEFAULT NULL,
    release   text[]    DEFAULT NULL,
    product   text      DEFAULT 'spectra'
)
RETURNS SETOF files LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH asked AS (
        SELECT outward(lower(files_with.z), false) AS z_first,
               outward(upper(files_with.z), true) AS z_last,
               outward(lower(files_with.deltachi2), false) AS deltachi2_first,
               outward(upper(files_with.deltachi2), true) AS deltachi2_last
    )
    SELECT f.* FROM files f
    JOIN file_registry r USING (file_id)
    LEFT JOIN file_makings m USING (making_id)
    -- in files that Bifrost wrote, name, columns and catalog are known to agree
    CROSS JOIN LATERAL (SELECT coalesce(m.document ? 'version', false) AS ours) AS made
    CROSS JOIN asked a
    WHERE is_product(files_with.product) AND f.product = files_with.product
      AND NOT coalesce(isempty(files_with.z) OR isempty(files_with.zwarn) OR isempty(files_with.deltachi2), false)
      AND (a.z_first IS NULL OR f.z_max IS NULL OR f.z_max >= a.z_first)
      AND (a.z_last IS NULL OR f.z_min IS NULL OR f.z_min <= a.z_last)
      AND (a.deltachi2_first IS NULL OR f.deltachi2_max IS NULL OR f.deltachi2_max >= a.deltachi2_first)
      AND (a.deltachi2_last IS NULL OR f.deltachi2_min IS NULL OR f.deltachi2_min <= a.deltachi2_last)
      AND (files_with.zwarn IS NULL OR f.zwarn_min IS NULL OR f.zwarn_max IS NULL
           OR int8range(f.zwarn_min, f.zwarn_max, '[]') && files_with.zwarn)
      AND (files_with.survey IS NULL OR f.survey IS NULL OR f.survey = ANY (files_with.survey) OR NOT made.ours)
      AND (files_with.program IS NULL OR f.program IS NULL OR f.program = ANY (files_with.program) OR NOT made.ours)
      AND (files_with.release IS NULL OR f.release IS NULL OR f.release = ANY (files_with.release) OR NOT made.ours)
      -- some object has the class, the quality and the redshift at once
      AND (NOT f.in_catalog OR NOT made.ours
           OR (files_with.spectype IS NULL AND files_with.zwarn IS NULL AND files_with.z IS NULL)
           OR EXISTS (
               SELECT FROM file_classes c
               WHERE c.file_id = f.file_id
                 AND (files_with.spectype IS NULL OR c.spectype = ANY (files_with.spectype))
                 AND (files_with.zwarn IS NULL OR NOT c.zwarn_zero OR files_with.zwarn @> 0::bigint)
                 AND (files_with.zwarn IS NULL OR c.zwarn_zero OR files_with.zwarn <> int8range(0, 1))
                 AND (a.z_first IS NULL OR c.z_max >= a.z_first)
                 AND (a.z_last IS NULL OR c.z_min <= a.z_last)))
      AND (files_with.target_id IS NULL OR NOT f.in_catalog OR NOT made.ours OR f.file_id IN (
               SELECT c.file_id FROM catalog_rows c WHERE c.target_id = ANY (files_with.target_id)))
$$;

CREATE OR REPLACE FUNCTION rows_of_targets(targets bigint[], product text DEFAULT 'spectra')
RETURNS TABLE (file_id bigint, row_indexes integer[]) LANGUAGE sql STABLE ROWS 10000
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET work_mem = '128MB' AS $$
    WITH found AS MATERIALIZED (
        SELECT c.file_id, array_agg(c.row_index) AS row_indexes
        FROM catalog_rows c
        WHERE is_product(rows_of_targets.product) AND c.target_id = ANY (rows_of_targets.targets)
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

CREATE OR REPLACE FUNCTION targets_of_query(query text) RETURNS bigint[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    asked   text := rtrim(query, E' \t\r\n;');
    typed   text := E'SELECT pg_typeof((SELECT * FROM (%s\n) AS asked LIMIT 0))';
    cursor  refcursor;
    kind    regtype;
    targets bigint[];
BEGIN
    IF coalesce(asked, '') = '' THEN
        RAISE EXCEPTION 'one query is wanted, and none is given' USING ERRCODE = 'syntax_error';
    END IF;
    -- what can be opened as a cursor by something that is not volatile is one query, and only reads;
    -- after that it can be put in parentheses
    BEGIN
        OPEN cursor FOR EXECUTE asked;
        CLOSE cursor;
    EXCEPTION WHEN feature_not_supported OR invalid_cursor_definition THEN
        RAISE EXCEPTION 'one query is wanted, and one that only reads: %', SQLERRM USING ERRCODE = SQLSTATE;
    END;
    -- and where it cannot, comments stand behind the semicolon that ends it
    BEGIN
        EXECUTE format(typed, asked) INTO kind;
    EXCEPTION WHEN syntax_error THEN
        asked := regexp_replace(asked, ';([[:space:];]|--[^\n]*|/\*([^*]|\*+[^*/])*\*+/)*$', '');
        EXECUTE format(typed, asked) INTO kind;
    END;
    IF kind NOT IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) THEN
        RAISE EXCEPTION 'the query gives values of type %, and TARGETIDs are integers', kind
            USING ERRCODE = 'datatype_mismatch', HINT = 'cast the column to bigint, if it holds whole numbers';
    END IF;
    EXECUTE format(E'SELECT ARRAY(%s\n)::bigint[]', asked) INTO targets;
    RETURN targets;
END
$$;
