-- Where the catalog knows objects: the rows of each file that holds some of them.
SELECT file_id, array_agg(row_index ORDER BY row_index)
FROM catalog_rows
WHERE target_id = ANY ($1)
GROUP BY file_id
