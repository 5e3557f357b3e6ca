-- Held by the session, so that a node that dies in the middle gives it back.
SELECT pg_advisory_lock(hashtext('bifrost.migrate'))
