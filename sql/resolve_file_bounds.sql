-- Stage two: bounds of whole files of one schema, only the slots from … to … of each kind.
SELECT file_id, num_rows, null_count[$2:$3],
       int_min[$4:$5], int_max[$4:$5],
       float_min[$6:$7], float_max[$6:$7], float_nan[$6:$7],
       text_min[$8:$9], text_max[$8:$9], text_exact[$8:$9]
FROM file_bounds
WHERE file_id = ANY ($1)
