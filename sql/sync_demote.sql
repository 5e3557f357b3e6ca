UPDATE catalog SET is_primary = false WHERE is_primary AND target_id = ANY ($1)
