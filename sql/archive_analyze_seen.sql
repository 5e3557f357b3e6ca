-- A plan for an empty table would compare each file with each.
ANALYZE archive_seen
