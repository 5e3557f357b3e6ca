-- Cells of versions that the catalog holds no longer: only questions about then ask for them.
WITH gone AS (DELETE FROM file_cells WHERE file_id = ANY ($1) RETURNING *)
INSERT INTO past_cells SELECT * FROM gone ON CONFLICT DO NOTHING
