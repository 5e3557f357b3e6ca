-- The point of no return: marks that no snapshot names become those of files that are being
-- unlinked.
UPDATE gc_marks m SET step = 'unlinking'
WHERE m.lake_id = $1 AND m.path = ANY ($2) AND m.step = 'moved'
  AND NOT EXISTS (
      SELECT FROM file_registry f JOIN snapshot_pins p USING (file_id)
      WHERE f.lake_id = m.lake_id AND f.removed_commit IS NOT NULL AND f.inode = m.inode
        AND f.size_bytes = m.size_bytes AND f.mtime_ns = m.mtime_ns)
