-- Files of another product that zip with given ones, with the columns of resolve_rows.sql: the same tile,
-- the same rows in the same order, made of nothing that is live no longer. One row at least, which has
-- the commit; of the product, and as of a commit where one is given.
SELECT (SELECT coalesce(max(commit_id), 0) FROM commits) AS commit_id, a.*
FROM (SELECT) AS one LEFT JOIN (
    SELECT i.file_id AS own_id, f.file_id, f.lake_id, f.schema_id, f.num_rows, f.num_row_groups,
           f.size_bytes, f.mtime_ns, f.has_cells, f.product, f.path, f.promoted,
           NULL::int2[] AS cells, NULL::real[] AS ends,
           f.release, f.survey, f.program, f.healpix, f.is_ours, f.added_commit AS as_is_since,
           f.inode, least(f.removed_commit, f.quarantined_commit) AS ended_commit, f.state
    FROM unnest(:files::int8[]) AS own (file_id)
    JOIN file_registry i USING (file_id)
    JOIN file_registry f  --? now
    JOIN files_as_of(:commit::int8) f  --? then
      ON (f.healpix, f.program, f.survey, f.release) = (i.healpix, i.program, i.survey, i.release)
     AND f.lake_id = i.lake_id
    LEFT JOIN file_parents p ON p.file_id = f.file_id AND p.product = i.product
    WHERE f.product = :product::text AND f.order_hash = i.order_hash AND f.num_rows = i.num_rows
      AND f.state = 'live'  --? now
      AND ((p.order_hash = i.order_hash
            AND CASE WHEN i.content IS NULL THEN (i.size_bytes, i.mtime_ns) = (p.size_bytes, p.mtime_ns)
                     ELSE i.content = p.content END
            AND NOT EXISTS (SELECT FROM file_parents o WHERE o.file_id = f.file_id AND o.product <> i.product))
        OR is_made_of_live(f.file_id, :commit::int8))
) AS a ON true
