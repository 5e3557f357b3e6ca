UPDATE catalog_rows AS c SET is_primary = false
FROM unnest($1::int8[], $2::int8[], $3::int4[]) AS beaten (target_id, file_id, row_index)
WHERE c.target_id = beaten.target_id AND c.file_id = beaten.file_id AND c.row_index = beaten.row_index
