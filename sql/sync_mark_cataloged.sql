UPDATE file_registry
SET in_catalog = $2,
    cataloged_commit = CASE WHEN $2 AND added_commit < $3 THEN $3 ELSE cataloged_commit END,
    uncataloged_commit = CASE WHEN NOT $2 THEN $3 END
WHERE file_id = ANY ($1)
