-- The turn is over. False where it was not ours.
SELECT pg_advisory_unlock(hashtextextended('bifrost.lake.' || $1::uuid::text, 0))
