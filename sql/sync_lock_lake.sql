-- One sync of a lake at a time, over all machines. Held by the session: whoever dies gives it back.
SELECT pg_advisory_lock(hashtextextended('bifrost.lake.' || $1::uuid::text, 0))
