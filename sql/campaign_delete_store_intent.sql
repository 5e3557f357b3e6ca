DELETE FROM campaign_store_intents WHERE token = $1
