COPY store_groups (
    file_id, parent_bytes, parent_mtime_ns, wavelength_at, target_id_at, chunks_at, healpix, num_rows,
    num_pixels, release, survey, program, group_path, parent_name, parent_content, order_hash)
FROM STDIN (FORMAT binary)
