-- What is packed of the objects of some files, unless the registry was made anew.
SELECT x.file_id, x.objects
FROM registry_identity i, file_cells x
WHERE i.registry_id = $2 AND x.file_id = ANY ($1) AND x.objects IS NOT NULL
