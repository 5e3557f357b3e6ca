COPY catalog_labels (label_id, healpix, release, survey, program, spectype, subtype, objtype)
FROM STDIN (FORMAT binary)
