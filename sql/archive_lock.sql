-- One inventory at a time: two that are compared at once would both call the same files new.
SELECT pg_advisory_xact_lock(hashtextextended('bifrost.inventory', 0))
