-- What a person asks at the psql prompt: views of files, row groups, bounds and objects, and
-- functions that find files by sky and by content. Like the program, they never leave out a file
-- that holds a matching row: an unknown bound keeps its file, a cover is larger than its cone.
--
--   SELECT path FROM files_with(z => '[2.5,)', spectype => '{QSO}', zwarn => '[0,0]');
--   SELECT path FROM files_in_cone(213.7, 52.1, 1.0);
--   SELECT target_id, z, path FROM objects_in_cone(213.7, 52.1, 0.2) WHERE spectype = 'GALAXY';
--   SELECT path FROM files WHERE survey = 'main' AND program = 'dark' AND z_max > 4;
--   SELECT path, row_group FROM column_bounds WHERE column_name = 'ebv' AND float_max >= 0.3;

CREATE VIEW files AS
SELECT f.file_id, f.node, rtrim(l.root, '/') || '/' || f.path AS path, f.product,
       f.release, f.survey, f.program, f.healpix,
       f.num_rows, f.num_row_groups, f.size_bytes,
       f.z_min, f.z_max, f.zwarn_min, f.zwarn_max, f.deltachi2_min, f.deltachi2_max,
       f.spectype_min, f.spectype_max, f.target_id_min, f.target_id_max,
       f.ra_min, f.ra_max, f.dec_min, f.dec_max, f.sky,
       f.in_catalog, f.added_commit, f.fault
FROM file_registry f
JOIN lakes l USING (lake_id)
WHERE f.state = 'live';
COMMENT ON VIEW files IS 'Files that may be read: absolute path on its node, tile, size, bounds; a NULL bound is unknown. Example: SELECT node, path FROM files WHERE z_max > 4 OR z_max IS NULL';

CREATE VIEW row_groups AS
SELECT f.file_id, f.node, f.path, f.product,
       greatest(b.row_group, 0) AS row_group, b.num_rows
FROM files f
JOIN file_bounds b USING (file_id)
WHERE b.row_group >= 0 OR f.num_row_groups = 1;
COMMENT ON VIEW row_groups IS 'Row groups of the files that may be read, numbered from 0. Example: SELECT path, count(*), max(num_rows) FROM row_groups GROUP BY path';

CREATE VIEW column_bounds AS
SELECT f.file_id, f.node, f.path, f.product,
       CASE WHEN b.row_group < 0 AND f.num_row_groups = 1 THEN 0 ELSE nullif(b.row_group, -1) END AS row_group,
       b.num_rows, c.name AS column_name, c.type AS column_type,
       b.null_count[c.position] AS null_count,
       CASE WHEN c.kind IN ('int', 'bool') THEN b.int_min[c.slot] END AS int_min,
       CASE WHEN c.kind IN ('int', 'bool') THEN b.int_max[c.slot] END AS int_max,
       CASE WHEN c.kind = 'float' THEN b.float_min[c.slot] END AS float_min,
       CASE WHEN c.kind = 'float' THEN b.float_max[c.slot] END AS float_max,
       CASE WHEN c.kind = 'text' THEN b.text_min[c.slot] END AS text_min,
       CASE WHEN c.kind = 'text' THEN b.text_max[c.slot] END AS text_max
FROM files f
JOIN file_registry r USING (file_id)
JOIN file_schemas s USING (schema_id)
CROSS JOIN LATERAL jsonb_to_recordset(s.columns)
    AS c (name text, type text, kind text, slot integer, "position" integer)
JOIN file_bounds b USING (file_id);
COMMENT ON VIEW column_bounds IS 'Least and greatest value of each column of each row group (row_group NULL: of the whole file of several); a NULL bound is unknown. Example: SELECT path, row_group FROM column_bounds WHERE column_name = ''ebv'' AND (float_max >= 0.3 OR float_max IS NULL)';

CREATE VIEW objects AS
SELECT c.target_id, c.ra, c.dec, c.z, c.zerr, c.zwarn, c.deltachi2, c.spectype, c.subtype, c.objtype,
       c.desi_target, c.coadd_fiberstatus, c.tsnr2_lrg,
       c.release, c.survey, c.program, c.healpix, c.healpix_29, c.is_primary,
       c.file_id, c.row_index, f.node, f.path
FROM catalog c
JOIN files f USING (file_id);
COMMENT ON VIEW objects IS 'Every object, with the file (node, path) and the row in it (row_index, from 0) where its spectrum lies. Example: SELECT path, row_index FROM objects WHERE target_id = 39627652591521181 AND is_primary';

CREATE FUNCTION separation_deg(ra1 float8, dec1 float8, ra2 float8, dec2 float8) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    -- Vincenty's formula: accurate at all distances
    SELECT atan2d(
        sqrt((cosd(dec2) * sind(ra2 - ra1)) ^ 2
             + (cosd(dec1) * sind(dec2) - sind(dec1) * cosd(dec2) * cosd(ra2 - ra1)) ^ 2),
        sind(dec1) * sind(dec2) + cosd(dec1) * cosd(dec2) * cosd(ra2 - ra1))
$$;
COMMENT ON FUNCTION separation_deg IS 'Great-circle separation of two positions, all in degrees';

CREATE FUNCTION healpix_centre(nside_order integer, pixel bigint, OUT ra_deg float8, OUT dec_deg float8)
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
COMMENT ON FUNCTION healpix_centre IS 'Centre (ICRS, degrees) of a HEALPix pixel, NESTED numbering. Example: SELECT * FROM healpix_centre(6, 12712)';

CREATE FUNCTION sky_of_cone(ra_deg float8, dec_deg float8, radius_deg float8) RETURNS int8multirange
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    -- cells of about a sixteenth of the radius, but neither coarser than tiles nor finer than needed
    deepest  integer := least(greatest(ceil(ln(58.6 * 16 / greatest(radius_deg, 1e-4)) / ln(2))::integer, 6), 14);
    cells    bigint[] := ARRAY(SELECT generate_series(0, 11)::bigint);
    cover    int8multirange := '{}';
    inside   int8multirange;
    nside    float8;
    reach    float8;  -- no point of a cell is farther from its centre
BEGIN
    IF NOT (dec_deg BETWEEN -90 AND 90 AND radius_deg BETWEEN 0 AND 180 AND abs(ra_deg) < 1e9) THEN
        RAISE EXCEPTION 'no cone: dec must lie in -90 to 90 and the radius in 0 to 180 degrees';
    END IF;
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
COMMENT ON FUNCTION sky_of_cone IS 'HEALPix order-29 NESTED numbers that cover a cone (all in degrees), never too few. Example: SELECT path FROM files WHERE sky && sky_of_cone(213.7, 52.1, 1.0) OR sky IS NULL';

CREATE FUNCTION files_in_cone(ra_deg float8, dec_deg float8, radius_deg float8, product text DEFAULT 'spectra')
RETURNS SETOF files LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT f.* FROM files f
    WHERE f.product = files_in_cone.product
      AND (f.sky && sky_of_cone(files_in_cone.ra_deg, files_in_cone.dec_deg, files_in_cone.radius_deg)
           OR f.sky IS NULL)
      -- the bounds of positions tell more where they are known and span no full turn
      AND (f.dec_min IS NULL OR f.dec_min <= files_in_cone.dec_deg + files_in_cone.radius_deg + 1e-6)
      AND (f.dec_max IS NULL OR f.dec_max >= files_in_cone.dec_deg - files_in_cone.radius_deg - 1e-6)
$$;
COMMENT ON FUNCTION files_in_cone IS 'Files of a product that may hold objects in a cone (all in degrees). Example: SELECT path FROM files_in_cone(213.7, 52.1, 1.0)';

CREATE FUNCTION objects_in_cone(ra_deg float8, dec_deg float8, radius_deg float8)
RETURNS SETOF objects LANGUAGE plpgsql STABLE ROWS 100
-- a join with the ranges would be planned as if they held most of the sky
SET enable_seqscan = off SET jit = off AS $$
DECLARE
    cover int8multirange := sky_of_cone(objects_in_cone.ra_deg, objects_in_cone.dec_deg, objects_in_cone.radius_deg);
    first bigint;
    last  bigint;
BEGIN
    -- a look-up for each tile that the cone touches: rows of a tile lie together
    FOR first, last IN
        SELECT min(lower(part)), max(upper(part)) FROM unnest(cover) AS part GROUP BY lower(part) >> 46
    LOOP
        RETURN QUERY
        SELECT o.* FROM objects o
        WHERE o.healpix_29 >= first AND o.healpix_29 < last AND cover @> o.healpix_29
          AND CASE WHEN abs(o.ra) < 1e9 AND o.dec BETWEEN -90 AND 90 THEN
              separation_deg(objects_in_cone.ra_deg, objects_in_cone.dec_deg, o.ra, o.dec) <= objects_in_cone.radius_deg END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION objects_in_cone IS 'Objects in a cone (all in degrees), exactly. Example: SELECT target_id, z, path FROM objects_in_cone(213.7, 52.1, 0.2) WHERE spectype = ''GALAXY''';

CREATE FUNCTION files_with(
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
        -- ends belong to what is asked for, and a 32-bit column rounds them
        SELECT lower(files_with.z)::float8 - abs(lower(files_with.z)::float8) * 1e-7 AS z_first,
               upper(files_with.z)::float8 + abs(upper(files_with.z)::float8) * 1e-7 AS z_last,
               lower(files_with.deltachi2)::float8 - abs(lower(files_with.deltachi2)::float8) * 1e-7 AS deltachi2_first,
               upper(files_with.deltachi2)::float8 + abs(upper(files_with.deltachi2)::float8) * 1e-7 AS deltachi2_last
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
COMMENT ON FUNCTION files_with IS 'Files of a product that may hold rows with the given values; what is left out is not asked. Example: SELECT path FROM files_with(z => ''[2.5,)'', spectype => ''{QSO}'', zwarn => ''[0,0]'')';
