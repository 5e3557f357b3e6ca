-- Tiles of a release that failed: for good, or so far.
SELECT tile_id FROM archive_tiles
WHERE release = $1 AND (state = 'failed' OR (state = 'queued' AND failures > 0))
