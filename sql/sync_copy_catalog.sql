COPY catalog_rows (
    file_id, target_id, healpix_29, ra, dec, z, zerr, deltachi2, desi_target, row_index, label_id,
    tsnr2_lrg, is_primary)
FROM STDIN (FORMAT binary)
