-- Every node, with what it holds.
SELECT n.node, n.lake_id, n.release, n.weight, n.takes_all,
       CASE WHEN n.state <> 'running' THEN n.state
            WHEN m.node IS NULL THEN 'silent' ELSE 'running' END AS state,
       n.joined_at, extract(epoch FROM clock_timestamp() - n.heartbeat_at)::float8 AS silent_s,
       n.free_bytes, n.disk_bytes,
       (SELECT count(*) FROM campaign_leases l
        WHERE l.lake_id = n.lake_id AND l.token IS NOT NULL) AS pixels_leased,
       coalesce(f.files, 0) AS files, coalesce(f.size_bytes, 0) AS size_bytes
FROM campaign_nodes n
LEFT JOIN campaign_members m USING (node)
LEFT JOIN (SELECT lake_id, node, count(*) AS files, sum(size_bytes)::int8 AS size_bytes
           FROM file_registry WHERE state = 'live' GROUP BY lake_id, node) AS f
    ON f.lake_id = n.lake_id AND f.node = n.node
ORDER BY n.node
