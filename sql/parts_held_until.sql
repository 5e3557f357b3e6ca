-- Until when runs hold parts of a computation; what dead ones held of it is forgotten.
WITH lapsed AS (DELETE FROM part_leases WHERE work = $1 AND expires_at < clock_timestamp())
SELECT max(expires_at) AS held_until FROM part_leases
WHERE work = $1 AND expires_at >= clock_timestamp()
