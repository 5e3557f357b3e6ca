-- Held to the end of the transaction: commits become visible in the order of their numbers.
SELECT pg_advisory_xact_lock(hashtextextended('bifrost.commits', 0))
