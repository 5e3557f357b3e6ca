-- What notices are about: tiles by state, the last tries, and how long nothing has ended.
WITH late AS (
    SELECT a.ended_at, a.outcome IN ('converted', 'empty', 'unchanged') AS is_made
    FROM campaign_attempts a JOIN archive_tiles t USING (tile_id)
    WHERE t.release = $1 AND a.outcome IS NOT NULL
    ORDER BY a.ended_at DESC LIMIT 50)
SELECT count(*) FILTER (WHERE state = 'done') AS done,
       count(*) FILTER (WHERE state = 'queued') AS left,
       count(*) FILTER (WHERE state = 'failed') AS failed,
       (SELECT count(*) FROM late WHERE NOT is_made) AS late_failed,
       (SELECT count(*) FROM late) AS late_tiles,
       extract(epoch FROM clock_timestamp() - (SELECT max(ended_at) FROM late))::float8 AS quiet_s
FROM archive_tiles t
WHERE t.release = $1
