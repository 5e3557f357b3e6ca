COPY file_bounds (
    file_id, num_rows, null_count, int_min, int_max, float_min, float_max, float_nan,
    text_min, text_max, text_exact, row_groups)
FROM STDIN (FORMAT binary)
