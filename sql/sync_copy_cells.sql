COPY file_cells (file_id, cells) FROM STDIN (FORMAT binary)
