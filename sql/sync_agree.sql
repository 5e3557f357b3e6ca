UPDATE lakes SET listing_digest = $2, catalog_digest = coalesce($3, catalog_digest)
WHERE lake_id = $1
  AND (listing_digest, catalog_digest) IS DISTINCT FROM ($2, coalesce($3, catalog_digest))
