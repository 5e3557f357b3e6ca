INSERT INTO group_catalogs (tracer, cap, configuration, galaxies, groups)
VALUES ($1, $2, $3::text::jsonb, $4, $5)
RETURNING catalog_id
