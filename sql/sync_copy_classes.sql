COPY file_classes (file_id, num_rows, z_min, z_max, zwarn_zero, spectype, z_bins, z_counts)
FROM STDIN (FORMAT binary)
