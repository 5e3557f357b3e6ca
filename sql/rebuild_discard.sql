-- Forgets what lakes can tell, and what hangs on it. Numbers go on: none is ever used twice. What
-- comes from elsewhere (the archive's inventory, the ledgers) stays, and pins, which name versions.
TRUNCATE lakes, commits, file_schemas, file_makings, file_registry, file_bounds, file_classes,
         file_facts, file_cells, file_parents, store_groups, tile_outcomes, catalog_labels, catalog_rows,
         gc_marks, past_bounds, past_cells
