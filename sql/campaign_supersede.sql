-- Files of tiles that other lakes hold, or held when they were last heard of: those lakes are told
-- to take them away. Gives those that are live.
WITH made AS (
    SELECT * FROM unnest($3::text[], $4::text[], $5::text[], $6::int4[])
                  AS m (release, survey, program, healpix)),
live AS (
    SELECT f.* FROM made JOIN file_registry f USING (release, survey, program, healpix)
    WHERE f.state = 'live' AND f.product = $2 AND f.lake_id <> $1),
missed AS (
    UPDATE file_registry f SET state = 'superseded'
    FROM made m
    WHERE f.state = 'missing' AND f.product = $2 AND f.lake_id <> $1
      AND (f.release, f.survey, f.program, f.healpix) = (m.release, m.survey, m.program, m.healpix)
    RETURNING f.*),
told AS (
    INSERT INTO campaign_set_aside AS s (lake_id, path, size_bytes, mtime_ns, inode)
    SELECT DISTINCT ON (lake_id, path) lake_id, path, size_bytes, mtime_ns, inode
    FROM (SELECT * FROM live UNION ALL SELECT * FROM missed) AS f
    ORDER BY lake_id, path, file_id DESC
    ON CONFLICT (lake_id, path) DO UPDATE
    SET size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns, inode = excluded.inode)
SELECT file_id, coalesce(num_rows, 0) AS num_rows, size_bytes, in_catalog FROM live
