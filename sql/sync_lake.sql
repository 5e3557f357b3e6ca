SELECT node, root, listing_digest, catalog_digest FROM lakes WHERE lake_id = $1
