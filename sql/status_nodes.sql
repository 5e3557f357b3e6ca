-- When each node last spoke, and the last commit that changed its lakes.
SELECT n.node, extract(epoch FROM clock_timestamp() - n.last_seen_at)::float8 AS silent_s,
       max(l.last_commit) AS last_commit
FROM nodes AS n LEFT JOIN lakes AS l USING (node)
GROUP BY n.node, n.last_seen_at
ORDER BY n.node
