-- What notices are about: tiles by state, the last tries of the last $2 seconds, how long nothing has
-- ended, and what ended last.
WITH late AS (
    SELECT a.attempt_id, a.ended_at, a.ended_at > clock_timestamp() - $2 * interval '1 s' AS is_late,
           a.outcome IN ('converted', 'empty', 'unchanged') AS is_made
    FROM campaign_attempts a JOIN archive_tiles t USING (tile_id)
    WHERE t.release = $1 AND a.outcome IS NOT NULL
    ORDER BY a.ended_at DESC LIMIT 50)
SELECT count(*) FILTER (WHERE state = 'done') AS done,
       count(*) FILTER (WHERE state = 'queued') AS left,
       count(*) FILTER (WHERE state = 'failed') AS failed,
       (SELECT count(*) FROM late WHERE is_late AND NOT is_made) AS late_failed,
       (SELECT count(*) FROM late WHERE is_late) AS late_tiles,
       extract(epoch FROM clock_timestamp() - (SELECT max(ended_at) FROM late))::float8 AS quiet_s,
       (SELECT max(attempt_id) FROM late) AS last_attempt
FROM archive_tiles t
WHERE t.release = $1
