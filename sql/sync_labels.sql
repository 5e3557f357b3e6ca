-- Commits follow each other, so that nobody else adds labels meanwhile.
SELECT label_id, zwarn, coadd_fiberstatus, healpix, release, survey, program, spectype, subtype, objtype
FROM catalog_labels
