-- The right to tell people of an event: of several nodes one gets it. What was told more than $4
-- seconds ago may be told again.
INSERT INTO campaign_notices AS n (release, event, node) VALUES ($1, $2, $3)
ON CONFLICT (release, event) DO UPDATE SET told_at = clock_timestamp(), node = excluded.node
WHERE n.told_at < clock_timestamp() - $4 * interval '1 s'
RETURNING event
