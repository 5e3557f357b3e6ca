-- Tiles are to be tried again, at once.
UPDATE archive_tiles SET state = 'queued', queued_at = now(), failures = 0, retry_at = NULL
WHERE tile_id = ANY ($1) AND state IN ('failed', 'queued')
