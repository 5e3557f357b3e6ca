-- Files that a lake was about to publish, and whether their leases still hold.
SELECT i.attempt_id, i.publish_id, i.token, i.path, i.size_bytes, i.mtime_ns, i.inode, i.outcome,
       l.token IS NOT NULL AS is_held
FROM campaign_intents i LEFT JOIN campaign_leases l USING (token)
WHERE i.lake_id = $1
ORDER BY i.token, i.attempt_id
