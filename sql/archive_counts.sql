SELECT t.state, f.kind, count(*) AS files, sum(f.size_bytes)::int8 AS size_bytes,
       count(f.size_bytes) AS sizes_known, count(f.sha256) AS sums_known
FROM archive_tiles t JOIN archive_files f USING (tile_id)
WHERE t.release = $1 AND f.state = 'present'
GROUP BY t.state, f.kind
ORDER BY t.state, array_position('{coadd,redrock,emline,rrdetails}', f.kind)
