SELECT pg_advisory_unlock(hashtext('bifrost.migrate'))
