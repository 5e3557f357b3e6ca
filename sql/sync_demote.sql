-- By place, which nobody else can change before the commit ends.
UPDATE catalog_rows SET is_primary = false WHERE ctid = ANY ($1::text[]::tid[])
