COPY file_registry (
    file_id, lake_id, added_commit, size_bytes, mtime_ns, inode, num_rows, num_row_groups,
    schema_id, making_id, healpix, in_catalog, is_ours, z_min, z_max, deltachi2_min, deltachi2_max,
    zwarn_min, zwarn_max, target_id_min, target_id_max, ra_min, ra_max, dec_min, dec_max, sky,
    state, node, product, path, release, survey, program, spectype_min, spectype_max,
    footer_hash, content, order_hash, promoted, off_brick, reason)
FROM STDIN (FORMAT binary)
