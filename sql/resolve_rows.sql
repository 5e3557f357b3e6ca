-- What a resolution needs to know of files, once: of a version it never changes, unless the registry
-- was made anew and the number means another file. Others are told beside them, if they are whole.
SELECT f.file_id, f.lake_id, f.schema_id, f.num_rows, f.num_row_groups, f.size_bytes, f.mtime_ns,
       f.has_cells, f.product, f.path, f.promoted,
       CASE WHEN f.has_cells THEN x.cells END AS cells, CASE WHEN f.has_cells THEN x.ends END AS ends,
       f.release, f.survey, f.program, f.healpix, f.is_ours,
       greatest(f.added_commit, f.cataloged_commit, f.uncataloged_commit) AS as_is_since
FROM registry_identity i, file_registry f LEFT JOIN file_cells x USING (file_id)
WHERE f.file_id = ANY ($3) AND i.registry_id = $2 AND (f.state = 'live' OR f.file_id = ANY ($1))
