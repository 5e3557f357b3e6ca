-- Nodes that are at work on a release now.
SELECT node, weight, takes_all FROM campaign_members WHERE release = $1 ORDER BY node
