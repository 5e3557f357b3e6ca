DELETE FROM campaign_set_aside WHERE lake_id = $1 AND path = ANY ($2)
