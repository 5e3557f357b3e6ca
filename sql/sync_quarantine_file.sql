-- A file whose footer is good and whose rows are not.
UPDATE file_registry SET state = 'quarantined', reason = $2, in_catalog = false, quarantined_commit = $3
WHERE file_id = $1
