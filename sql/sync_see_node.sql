-- The node lives. It does not wait for the disk: a time of day that a crash of the server loses is
-- noted again by the next sync.
WITH lazily AS (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO nodes (node, uri_prefixes, last_seen_at)
SELECT $1, coalesce($2::text[], '{}'), now() FROM lazily
ON CONFLICT (node) DO UPDATE
SET last_seen_at = excluded.last_seen_at, uri_prefixes = coalesce($2, nodes.uri_prefixes)
