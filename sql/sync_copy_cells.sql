COPY file_cells (file_id, cells, ends, objects) FROM STDIN (FORMAT binary)
