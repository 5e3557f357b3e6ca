-- Bounds of versions that are live no longer: only questions about then ask for them.
WITH gone AS (DELETE FROM file_bounds WHERE file_id = ANY ($1) RETURNING *)
INSERT INTO past_bounds SELECT * FROM gone ON CONFLICT DO NOTHING
