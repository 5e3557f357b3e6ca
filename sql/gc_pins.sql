-- Of versions of files of a lake (size, time), those that a saved snapshot names. Where the lake was copied
-- since, a version has another inode; two that share the others are rare, and kept both.
SELECT v.place, min(p.snapshot) AS snapshot
FROM unnest($2::int8[], $3::int8[]) WITH ORDINALITY AS v (size_bytes, mtime_ns, place)
JOIN snapshot_pins p ON p.lake_id = $1 AND p.mtime_ns = v.mtime_ns AND p.size_bytes = v.size_bytes
GROUP BY v.place
