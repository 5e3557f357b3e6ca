-- Tries come to their outcomes, and their tiles with them. A tile whose files have changed in the
-- archive meanwhile stays queued; one that failed for a reason that may pass is tried again, at
-- most $5 times, each pause four times as long as the last.
WITH ended AS (
    UPDATE campaign_attempts a
    SET ended_at = clock_timestamp(), outcome = e.outcome, error = e.error, publish_s = $4
    FROM unnest($1::int8[], $2::text[], $3::text[]) AS e (attempt_id, outcome, error)
    WHERE a.attempt_id = e.attempt_id AND a.ended_at IS NULL
    RETURNING a.tile_id, a.outcome, a.seen_at),
judged AS (
    SELECT e.tile_id, e.outcome,
           e.outcome IN ('converted', 'empty', 'unchanged') AS is_made,
           e.outcome IN ('archive_error', 'disk', 'internal') AS may_pass,
           e.seen_at IS NOT DISTINCT FROM
               (SELECT max(f.seen_at) FROM archive_files f WHERE f.tile_id = e.tile_id) AS is_latest
    FROM ended e)
UPDATE archive_tiles t
SET outcome = j.outcome,
    failures = CASE WHEN j.is_made OR NOT j.is_latest THEN 0 ELSE t.failures + 1 END,
    retry_at = CASE WHEN j.may_pass AND j.is_latest AND t.failures + 1 < $5
                    THEN clock_timestamp() + $6 * power(4, t.failures) * interval '1 s' END,
    state = CASE WHEN NOT j.is_latest THEN 'queued'
                 WHEN j.is_made THEN 'done'
                 WHEN j.may_pass AND t.failures + 1 < $5 THEN 'queued'
                 ELSE 'failed' END
FROM judged j
WHERE t.tile_id = j.tile_id AND t.state = 'queued'
