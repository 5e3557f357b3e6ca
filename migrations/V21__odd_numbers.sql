-- Numbers that are none, or hardly: functions for the psql prompt say which argument cannot be meant, and
-- find what is infinite. Where a position is NULL, nothing is there.

CREATE OR REPLACE FUNCTION healpix_centre(nside_order integer, pixel bigint, OUT ra_deg float8, OUT dec_deg float8)
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    nside  bigint := 1::bigint << nside_order;
    face   bigint := pixel >> (2 * nside_order);
    x      bigint := 0;
    y      bigint := 0;
    ring   bigint;  -- of this pixel, from the north pole, starting with 1
    across bigint;  -- pixels between the quarter's start and this pixel, doubled
    width  bigint;  -- pixels of a quarter of the ring
    height float8;  -- sine of the declination
BEGIN
    IF nside_order NOT BETWEEN 0 AND 29 THEN
        RAISE EXCEPTION 'no pixel: nside_order is %, and must lie in 0 to 29', nside_order
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF pixel < 0 OR face > 11 THEN
        RAISE EXCEPTION 'no pixel: of order % they are numbered from 0 to %, and this is %',
            nside_order, 12 * nside * nside - 1, pixel USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR bit IN 0 .. nside_order - 1 LOOP
        x := x | (((pixel >> (2 * bit)) & 1) << bit);
        y := y | (((pixel >> (2 * bit + 1)) & 1) << bit);
    END LOOP;
    ring := (face / 4 + 2) * nside - x - y - 1;
    IF ring < nside THEN
        width := ring;
        height := 1 - ring * ring / (3.0 * nside * nside);
    ELSIF ring > 3 * nside THEN
        width := 4 * nside - ring;
        height := width * width / (3.0 * nside * nside) - 1;
    ELSE
        width := nside;
        height := (2 * nside - ring) * 2 / (3.0 * nside);
    END IF;
    across := (CASE face / 4 WHEN 1 THEN 2 * (face % 4) ELSE 2 * (face % 4) + 1 END) * width + x - y;
    ra_deg := 45.0 * across / width;
    IF ra_deg < 0 THEN
        ra_deg := ra_deg + 360;
    END IF;
    dec_deg := asind(height);
END
$$;

CREATE OR REPLACE FUNCTION sky_of_cone(ra_deg float8, dec_deg float8, radius_deg float8) RETURNS int8multirange
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    deepest  integer;
    cells    bigint[] := ARRAY(SELECT generate_series(0, 11)::bigint);
    cover    int8multirange := '{}';
    inside   int8multirange;
    nside    float8;
    reach    float8;  -- no point of a cell is farther from its centre
BEGIN
    IF NOT abs(ra_deg) < 1e9 THEN
        RAISE EXCEPTION 'no cone: ra_deg is %, and must be a finite angle in degrees', ra_deg
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT dec_deg BETWEEN -90 AND 90 THEN
        RAISE EXCEPTION 'no cone: dec_deg is %, and must lie in -90 to 90 degrees', dec_deg
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT radius_deg BETWEEN 0 AND 180 THEN
        RAISE EXCEPTION 'no cone: radius_deg is %, and must lie in 0 to 180 degrees', radius_deg
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- cells of about a sixteenth of the radius, but neither coarser than tiles nor finer than needed
    deepest := least(greatest(ceil(ln(58.6 * 16 / greatest(radius_deg, 1e-4)) / ln(2))::integer, 6), 14);
    FOR level IN 0 .. deepest LOOP
        nside := 2.0 ^ level;
        reach := acosd(least(1, (1 - (1 - 1 / nside) ^ 2 / 3) * 2 / 3
                 + sqrt(1 - (1 - (1 - 1 / nside) ^ 2 / 3) ^ 2) * sqrt(5) / 3 * cosd(45 / nside)))
                 + 1e-6;
        SELECT range_agg(int8range(cell << (58 - 2 * level), (cell + 1) << (58 - 2 * level)))
                   FILTER (WHERE level = deepest OR distance <= radius_deg - reach),
               array_agg(cell) FILTER (WHERE distance > radius_deg - reach)
        INTO inside, cells
        FROM unnest(cells) AS cell
        CROSS JOIN LATERAL healpix_centre(level, cell) AS c
        CROSS JOIN LATERAL separation_deg(sky_of_cone.ra_deg, sky_of_cone.dec_deg, c.ra_deg, c.dec_deg) AS s (distance)
        WHERE distance <= radius_deg + reach;
        cover := cover + coalesce(inside, '{}');
        EXIT WHEN cells IS NULL;
        cells := ARRAY(SELECT 4 * cell + child FROM unnest(cells) AS cell, generate_series(0, 3) AS child);
    END LOOP;
    RETURN cover;
END
$$;

CREATE FUNCTION outward(bound numeric, is_upper boolean) RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    outside float8 := CASE WHEN is_upper THEN 1 ELSE -1 END;
BEGIN
    IF bound = 'NaN' THEN
        RAISE EXCEPTION 'an end of the range is NaN, which is neither more nor less than any number'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'leave the end out: ''[2,)'' has no upper end';
    ELSIF abs(bound) = 'Infinity' THEN
        RETURN bound;
    -- a numeric has more digits before and behind its point than a double
    ELSIF abs(bound) > 1e300 THEN
        RETURN CASE WHEN sign(bound) = outside THEN outside * 'Infinity'::float8 ELSE -outside * 1e300 END;
    ELSIF abs(bound) < 1e-300 THEN
        RETURN outside * 1e-300;
    END IF;
    -- ends belong to what is asked for, and a 32-bit column rounds them
    RETURN bound::float8 + outside * abs(bound::float8) * 1e-7;
END
$$;
COMMENT ON FUNCTION outward IS 'An end of a range as a double, so that nothing of the range is left out';

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
    WHERE f.product = files_with.product
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

CREATE OR REPLACE FUNCTION targets_of_query(query text) RETURNS bigint[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    asked   text := rtrim(query, E' \t\r\n;');
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
    EXECUTE format(E'SELECT pg_typeof((SELECT * FROM (%s\n) AS asked LIMIT 0))', asked) INTO kind;
    IF kind NOT IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) THEN
        RAISE EXCEPTION 'the query gives values of type %, and TARGETIDs are integers', kind
            USING ERRCODE = 'datatype_mismatch', HINT = 'cast the column to bigint, if it holds whole numbers';
    END IF;
    EXECUTE format(E'SELECT ARRAY(%s\n)::bigint[]', asked) INTO targets;
    RETURN targets;
END
$$;
