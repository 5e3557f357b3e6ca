-- As of a commit: bounds of row groups, packed: rows of each, and what is known of the columns at these positions ($2).
SELECT file_id, float_nan IS NOT NULL AS holds_no_nan, row_group_block(row_groups, 0),
       ARRAY(SELECT row_group_block(row_groups, c.place)
             FROM unnest($2::integer[]) WITH ORDINALITY AS c (place, ord) ORDER BY c.ord)
FROM bounds_ever
WHERE row_groups IS NOT NULL AND file_id = ANY ($1)
