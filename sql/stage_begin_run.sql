-- A run begins. One process at a time runs a stage in a lake: what never ended has died.
WITH died AS (
    UPDATE stage_runs SET ended_at = clock_timestamp(), ending = 'abandoned'
    WHERE lake_id = $2 AND stage = $4 AND ended_at IS NULL AND run_id <> $1)
INSERT INTO stage_runs (run_id, lake_id, node, stage, stage_version, product, tiles)
VALUES ($1, $2, $3, $4, $5, $6, $7)
-- it is noted already, and the answer was lost
ON CONFLICT (run_id) DO NOTHING
