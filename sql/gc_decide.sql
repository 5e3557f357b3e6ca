-- The point of no return: marks that no snapshot names become those of files that are being
-- unlinked.
UPDATE gc_marks m SET step = 'unlinking'
WHERE m.lake_id = $1 AND m.path = ANY ($2) AND m.step = 'moved'
  AND NOT EXISTS (
      SELECT FROM snapshot_pins p
      WHERE p.lake_id = m.lake_id AND p.mtime_ns = m.mtime_ns AND p.size_bytes = m.size_bytes)
