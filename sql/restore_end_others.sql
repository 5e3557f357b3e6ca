-- Ends the connections of others to the database, as far as one may: their programs remember what was there before.
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
  AND pg_has_role(usesysid, 'MEMBER')
