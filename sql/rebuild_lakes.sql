SELECT lake_id, node, root FROM lakes ORDER BY node, root
