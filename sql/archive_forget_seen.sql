DELETE FROM archive_seen
