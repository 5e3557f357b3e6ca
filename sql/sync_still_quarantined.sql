-- Files of a lake that are set aside.
SELECT count(*) FROM file_registry WHERE lake_id = $1 AND state = 'quarantined'
