-- Every lake of the installation and when its node last spoke.
SELECT l.lake_id, l.node, l.root, l.last_commit, n.last_seen_at, n.uri_prefixes
FROM lakes AS l
JOIN nodes AS n ON n.node = l.node
ORDER BY l.node, l.lake_id
