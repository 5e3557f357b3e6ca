-- Keeps the lease from being taken, to the end of the transaction; nothing comes back where it is
-- lost. A lapsed one that nobody took may settle ($2), not publish.
SELECT token FROM campaign_leases
WHERE token = $1 AND ($2 OR expires_at > clock_timestamp())
FOR UPDATE
