INSERT INTO lakes (lake_id, node, root, last_commit, listing_digest, catalog_digest)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (lake_id) DO UPDATE
SET node = excluded.node, root = excluded.root, last_commit = excluded.last_commit,
    listing_digest = excluded.listing_digest, catalog_digest = excluded.catalog_digest
