-- Compares what was seen with what is known, takes it over, and queues the tiles concerned. Sums
-- decide where both sides have them; else size and version do. What is not there is back only when
-- something was seen of it: a list that merely names it proves nothing. It is a change unless it is the
-- same again, and the tile was made while it was there.
WITH known AS (
    SELECT t.tile_id, s.kind, s.key, s.size_bytes, s.etag, s.sha256,
           f.tile_id IS NULL AS is_new,
           coalesce(f.state = 'absent' AND num_nonnulls(s.size_bytes, s.etag, s.sha256) > 0, false)
               AS is_back,
           coalesce(
               CASE WHEN f.state = 'absent' THEN
                        num_nonnulls(s.size_bytes, s.etag, s.sha256) > 0
                        AND NOT (t.state = 'done'
                                 AND coalesce(s.sha256 = f.sha256,
                                              s.size_bytes = f.size_bytes AND s.etag = f.etag, false)
                                 AND coalesce((SELECT max(a.began_at) FROM campaign_attempts a
                                               WHERE a.tile_id = t.tile_id) < f.seen_at, false))
                    WHEN num_nonnulls(s.sha256, f.sha256) = 2 THEN s.sha256 <> f.sha256
                    ELSE coalesce(s.size_bytes <> f.size_bytes, false)
                         OR coalesce(s.etag <> f.etag, false) END, false) AS is_changed
    FROM archive_seen s
    JOIN archive_tiles t USING (release, survey, program, healpix)
    LEFT JOIN archive_files f USING (tile_id, kind)),
put AS (
    INSERT INTO archive_files AS f (tile_id, kind, key, size_bytes, etag, sha256)
    SELECT tile_id, kind, key, size_bytes, etag, sha256 FROM known WHERE is_new
    RETURNING f.tile_id),
replaced AS (
    UPDATE archive_files f
    SET state = 'present', seen_at = now(), key = k.key, size_bytes = k.size_bytes,
        etag = k.etag, sha256 = k.sha256
    FROM known k
    WHERE k.is_changed AND f.tile_id = k.tile_id AND f.kind = k.kind),
learnt AS (
    UPDATE archive_files f
    SET state = CASE WHEN k.is_back THEN 'present' ELSE f.state END,
        key = k.key, size_bytes = coalesce(k.size_bytes, f.size_bytes),
        etag = coalesce(k.etag, f.etag), sha256 = coalesce(k.sha256, f.sha256)
    FROM known k
    WHERE NOT k.is_new AND NOT k.is_changed AND f.tile_id = k.tile_id AND f.kind = k.kind
      AND (k.is_back OR (f.key, f.size_bytes, f.etag, f.sha256) IS DISTINCT FROM
          (k.key, coalesce(k.size_bytes, f.size_bytes), coalesce(k.etag, f.etag),
           coalesce(k.sha256, f.sha256)))),
queued AS (
    UPDATE archive_tiles t SET state = 'queued', queued_at = now()
    FROM (SELECT DISTINCT tile_id FROM known WHERE is_new OR is_changed) AS touched
    WHERE t.tile_id = touched.tile_id AND t.state <> 'queued'
    RETURNING t.tile_id)
SELECT count(*) FILTER (WHERE is_new) AS files_new,
       count(*) FILTER (WHERE is_changed) AS files_changed,
       (SELECT count(*) FROM queued) AS tiles_queued_again
FROM known
