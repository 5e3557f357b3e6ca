COPY catalog (
    file_id, target_id, healpix_29, ra, dec, z, zerr, deltachi2, zwarn, desi_target, bgs_target,
    mws_target, scnd_target, row_index, healpix, coadd_fiberstatus, tsnr2_lrg, is_primary,
    release, survey, program, spectype, subtype, objtype)
FROM STDIN (FORMAT binary)
