-- Files of spectra by their numbers, and the spectra stores that hold the same rows, where there are some; which
-- registry knows them, and as of which commit. $1 numbers, $2 the product. A row at least: without a file where
-- none of them is there any more.
SELECT i.registry_id, i.commit_id,
       f.file_id, f.lake_id, f.path, f.size_bytes, f.mtime_ns, f.release, f.survey, f.program, f.healpix,
       s.path AS store_path, s.size_bytes AS store_bytes, s.mtime_ns AS store_mtime_ns, s.group_path
FROM (SELECT registry_id, (SELECT coalesce(max(commit_id), 0) FROM commits) AS commit_id
      FROM registry_identity) AS i
LEFT JOIN file_registry f
    ON f.file_id = ANY ($1::int8[]) AND f.product = $2::text AND f.state = 'live' AND f.in_catalog
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
