-- Spectra stores of a pixel in other lakes that have no tile of it any more: those lakes are told to take them
-- away. Gives those that are live.
WITH idle AS (
    SELECT f.* FROM file_registry f
    WHERE f.file_id IN (SELECT g.file_id FROM store_groups g WHERE g.healpix = $2)
      AND f.state IN ('live', 'missing') AND f.lake_id <> $1
      AND NOT EXISTS (SELECT FROM file_registry t
                      WHERE t.product = 'spectra' AND t.healpix = $2 AND t.lake_id = f.lake_id
                        AND t.state IN ('live', 'missing'))),
missed AS (
    UPDATE file_registry f SET state = 'superseded'
    FROM idle WHERE f.file_id = idle.file_id AND f.state = 'missing'),
told AS (
    INSERT INTO campaign_set_aside AS s (lake_id, path, size_bytes, mtime_ns, inode)
    SELECT DISTINCT ON (lake_id, path) lake_id, path, size_bytes, mtime_ns, inode
    FROM idle
    ORDER BY lake_id, path, file_id DESC
    ON CONFLICT (lake_id, path) DO UPDATE
    SET size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns, inode = excluded.inode)
SELECT file_id, coalesce(num_rows, 0) AS num_rows, size_bytes, in_catalog FROM idle WHERE state = 'live'
