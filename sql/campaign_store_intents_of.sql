-- Spectra stores that a lake was about to publish, and whether their leases still hold.
SELECT i.token, i.publish_id, i.path, i.size_bytes, i.mtime_ns, i.inode, l.token IS NOT NULL AS is_held
FROM campaign_store_intents i LEFT JOIN campaign_leases l USING (token)
WHERE i.lake_id = $1
ORDER BY i.token
