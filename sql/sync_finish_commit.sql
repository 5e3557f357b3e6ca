INSERT INTO commits (
    commit_id, lake_id, node, program, files_added, files_changed, files_missing, files_replaced,
    files_quarantined, rows_added, rows_removed, bytes_added, bytes_removed, catalog_added,
    catalog_removed, action, key)
OVERRIDING SYSTEM VALUE
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
        coalesce($17, gen_random_uuid()::text))
