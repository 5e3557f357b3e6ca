-- Where the spectra of objects lie: a row for each row of the catalog that is of them, with what the
-- catalog knows of it, and the spectra store that holds the same row, where there is one.
-- $1 TARGETIDs; $2 release, $3 survey, $4 program, each of them NULL for any; $5 the product.
SELECT r.target_id, f.lake_id, r.row_index, f.path, f.size_bytes, f.mtime_ns,
       coalesce(l.release, f.release) AS release, coalesce(l.survey, f.survey) AS survey,
       coalesce(l.program, f.program) AS program, coalesce(l.healpix, f.healpix) AS healpix,
       r.ra, r.dec, r.z, r.zerr, r.deltachi2, l.zwarn, l.spectype, l.subtype, r.is_primary,
       s.path AS store_path, s.size_bytes AS store_bytes, s.mtime_ns AS store_mtime_ns, s.group_path
FROM catalog_rows r
JOIN file_registry f USING (file_id)
LEFT JOIN catalog_labels l USING (label_id)
LEFT JOIN LATERAL (
    SELECT h.path, h.size_bytes, h.mtime_ns, g.group_path
    FROM store_groups g
    JOIN file_registry h ON h.file_id = g.file_id
    WHERE g.healpix = f.healpix AND g.program = f.program AND g.survey = f.survey
      AND g.release = f.release AND g.order_hash = f.order_hash
      AND h.lake_id = f.lake_id AND h.state = 'live'
      AND CASE WHEN f.content IS NULL
               THEN (g.parent_bytes, g.parent_mtime_ns) = (f.size_bytes, f.mtime_ns)
               ELSE g.parent_content = f.content END
    LIMIT 1) AS s ON true
WHERE r.target_id = ANY ($1::int8[]) AND f.product = $5::text AND f.state = 'live' AND f.in_catalog
  AND ($2::text IS NULL OR coalesce(l.release, f.release) = $2)
  AND ($3::text IS NULL OR coalesce(l.survey, f.survey) = $3)
  AND ($4::text IS NULL OR coalesce(l.program, f.program) = $4)
