INSERT INTO campaign_store_intents (token, publish_id, lake_id, path, size_bytes, mtime_ns, inode)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (token) DO NOTHING
