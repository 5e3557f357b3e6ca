-- Files are found on the sky by the pixels of their tiles, whoever wrote them: few hold rows beyond their
-- pixel or are of no tile, and only those need an index of ranges. Such an index took longer to keep than
-- the dozen others together.

DROP INDEX file_registry_astray;
CREATE INDEX file_registry_astray ON file_registry USING gist (sky)
    WHERE state = 'live' AND (healpix IS NULL OR NOT sky <@ int8range(healpix::int8 << 46, (healpix::int8 + 1) << 46));

DROP INDEX file_registry_others;
CREATE INDEX file_registry_others ON file_registry (product, healpix) WHERE state = 'live' AND NOT is_ours;

DROP INDEX file_registry_sky;

CREATE FUNCTION files_on_sky(sky int8multirange, product text DEFAULT 'spectra') RETURNS SETOF files
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH pixels AS (
        SELECT range_agg(int4range((coalesce(lower(part), 0) >> 46)::int4,
                                   (coalesce(upper(part) - 1, 12::int8 << 58) >> 46)::int4, '[]')) AS covered
        FROM unnest(files_on_sky.sky) AS part
    )
    SELECT f.* FROM files f
    -- an array: whatever the planner thinks of them, they are found once
    WHERE f.product = files_on_sky.product AND f.file_id = ANY (ARRAY(
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
COMMENT ON FUNCTION files_on_sky IS 'Files of a product that may hold objects in a part of the sky, in HEALPix order-29 NESTED numbers. Example: SELECT path FROM files_on_sky(sky_of_cone(213.7, 52.1, 1.0))';
COMMENT ON FUNCTION sky_of_cone IS 'HEALPix order-29 NESTED numbers that cover a cone (all in degrees), never too few. Example: SELECT path FROM files_on_sky(sky_of_cone(213.7, 52.1, 1.0))';

CREATE OR REPLACE FUNCTION files_in_cone(ra_deg float8, dec_deg float8, radius_deg float8, product text DEFAULT 'spectra')
RETURNS SETOF files LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT f.*
    FROM files_on_sky(sky_of_cone(files_in_cone.ra_deg, files_in_cone.dec_deg, files_in_cone.radius_deg),
                      files_in_cone.product) f
    WHERE num_nulls(files_in_cone.ra_deg, files_in_cone.dec_deg, files_in_cone.radius_deg) = 0
      -- the bounds of positions tell more where they are known and span no full turn
      AND (f.dec_min IS NULL OR f.dec_min <= files_in_cone.dec_deg + files_in_cone.radius_deg + 1e-6)
      AND (f.dec_max IS NULL OR f.dec_max >= files_in_cone.dec_deg - files_in_cone.radius_deg - 1e-6)
$$;
