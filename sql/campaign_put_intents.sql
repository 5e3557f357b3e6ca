-- A try that has ended publishes nothing more.
INSERT INTO campaign_intents (
    attempt_id, publish_id, path, size_bytes, mtime_ns, inode, outcome, lake_id, token)
SELECT i.*, $8, $9
FROM unnest($1::int8[], $2::uuid[], $3::text[], $4::int8[], $5::int8[], $6::int8[], $7::text[])
     AS i (attempt_id, publish_id, path, size_bytes, mtime_ns, inode, outcome)
WHERE EXISTS (SELECT FROM campaign_attempts a
              WHERE a.attempt_id = i.attempt_id AND a.ended_at IS NULL)
ON CONFLICT (attempt_id) DO NOTHING
