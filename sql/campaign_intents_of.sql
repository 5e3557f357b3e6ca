-- Files that a lake was about to publish, whether they are registered after all (an answer was
-- lost), and whether their leases still hold.
SELECT i.attempt_id, i.publish_id, i.token, i.path, i.size_bytes, i.mtime_ns, i.inode, i.outcome,
       l.token IS NOT NULL AS is_held,
       EXISTS (SELECT FROM file_registry f
               WHERE f.lake_id = i.lake_id AND f.path = i.path AND f.removed_commit IS NULL
                 AND (f.size_bytes, f.mtime_ns, f.inode) = (i.size_bytes, i.mtime_ns, i.inode))
           AS is_registered
FROM campaign_intents i LEFT JOIN campaign_leases l USING (token)
WHERE i.lake_id = $1
ORDER BY i.token, i.attempt_id
