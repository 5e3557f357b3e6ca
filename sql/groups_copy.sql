COPY galaxy_groups (catalog_id, size, group_id, ra, dec, z, sigma_v, sigma_v_error, r50)
FROM STDIN (FORMAT binary)
