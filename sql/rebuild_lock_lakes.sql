-- The turns of all lakes, to the end of the transaction: a sync that has compared its lake must not
-- commit what it found to a registry that was emptied meanwhile.
SELECT count(pg_advisory_xact_lock(hashtextextended('bifrost.lake.' || lake_id::text, 0))::text)
FROM (SELECT lake_id FROM lakes ORDER BY lake_id) AS l
