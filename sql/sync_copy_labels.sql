COPY catalog_labels (
    label_id, zwarn, coadd_fiberstatus, healpix, release, survey, program, spectype, subtype, objtype)
FROM STDIN (FORMAT binary)
