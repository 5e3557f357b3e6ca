-- Versions of files that are there no longer; what becomes of each is in $2.
UPDATE file_registry AS f
SET removed_commit = $3, state = gone.state, in_catalog = false, fault = NULL
FROM unnest($1::int8[], $2::text[]) AS gone (file_id, state)
WHERE f.file_id = gone.file_id
