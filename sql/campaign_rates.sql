-- What each node has done altogether, and of late: within the last $2 seconds, or since it began. A
-- tile that will be tried again has not ended.
SELECT a.node, count(*) FILTER (WHERE a.ended_at IS NULL) AS under_way,
       count(*) FILTER (WHERE a.outcome IN ('converted', 'empty', 'unchanged')) AS made,
       count(*) FILTER (WHERE a.outcome NOT IN ('converted', 'empty', 'unchanged')) AS failed,
       coalesce(sum(a.bytes_in), 0)::int8 AS bytes_in, coalesce(sum(a.bytes_out), 0)::int8 AS bytes_out,
       count(*) FILTER (WHERE a.outcome NOT IN ('archive_error', 'disk', 'internal') AND is_late)
           AS late_tiles,
       coalesce(sum(a.bytes_in) FILTER (WHERE is_late), 0)::int8 AS late_bytes,
       extract(epoch FROM now - greatest(min(a.began_at) FILTER (WHERE is_late),
                                         now - $2 * interval '1 s'))::float8 AS late_s,
       max(a.ended_at) AS last_end_at
FROM clock_timestamp() AS now
CROSS JOIN campaign_attempts a
JOIN archive_tiles t USING (tile_id)
CROSS JOIN LATERAL (SELECT a.ended_at > now - $2 * interval '1 s') AS l (is_late)
WHERE t.release = $1
GROUP BY a.node, now
ORDER BY a.node
