-- A node will not come back. Nothing comes back where it is at work or was never there.
UPDATE campaign_nodes n SET state = 'forgotten'
WHERE node = $1 AND NOT EXISTS (SELECT FROM campaign_members m WHERE m.node = n.node)
RETURNING lake_id
