-- Rows of objects in the catalog, of which registry and as of which commit: $1 TARGETIDs. What a look-up costs
-- is the tables that it visits: what rows of a file and of a label share is asked once, and remembered.
SELECT (SELECT registry_id FROM registry_identity) AS registry_id,
       (SELECT coalesce(max(commit_id), 0) FROM commits) AS commit_id,
       r.target_id, r.file_id, r.label_id, r.row_index, r.ra, r.dec, r.z, r.zerr, r.deltachi2,
       r.is_primary
FROM catalog_rows r
WHERE r.target_id = ANY ($1::int8[])
