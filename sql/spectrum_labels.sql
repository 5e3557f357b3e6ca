-- What rows of the catalog share: $1 numbers of labels, $2 the registry that gave them.
SELECT l.label_id, l.release, l.survey, l.program, l.healpix, l.zwarn, l.spectype, l.subtype
FROM registry_identity i, catalog_labels l
WHERE l.label_id = ANY ($1::int4[]) AND i.registry_id = $2
