-- Leases that a lake's runs hold.
SELECT token FROM campaign_leases WHERE lake_id = $1 AND token IS NOT NULL
