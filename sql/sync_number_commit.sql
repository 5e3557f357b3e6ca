SELECT nextval(pg_get_serial_sequence('commits', 'commit_id'))
