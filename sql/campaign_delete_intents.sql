DELETE FROM campaign_intents WHERE attempt_id = ANY ($1)
