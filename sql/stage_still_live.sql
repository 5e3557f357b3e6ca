-- Of files that were read, those that are still what they were: nothing is published that was made
-- of another. The places in the list, from 1.
SELECT asked.place
FROM unnest($2::text[], $3::int8[], $4::int8[], $5::int8[]) WITH ORDINALITY
     AS asked (path, size_bytes, mtime_ns, inode, place)
JOIN file_registry f USING (path, size_bytes, mtime_ns, inode)
WHERE f.lake_id = $1 AND f.state = 'live'
