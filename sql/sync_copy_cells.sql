COPY file_cells (file_id, cells, ends) FROM STDIN (FORMAT binary)
