-- What fetching told of files: nothing of it is a change in the archive. A version once listed
-- stands: it is what the next listing will be compared with.
UPDATE archive_files f
SET size_bytes = l.size_bytes, sha256 = coalesce(l.sha256, f.sha256),
    etag = CASE WHEN f.sha256 <> l.sha256 OR f.size_bytes <> l.size_bytes THEN l.etag
                ELSE coalesce(f.etag, l.etag) END,
    state = CASE WHEN l.is_present THEN 'present' ELSE 'absent' END
FROM unnest($1::text[], $2::text[], $3::text[], $4::int4[], $5::text[], $6::int8[], $7::text[],
            $8::text[], $9::bool[])
     AS l (release, survey, program, healpix, kind, size_bytes, etag, sha256, is_present)
JOIN archive_tiles t USING (release, survey, program, healpix)
WHERE f.tile_id = t.tile_id AND f.kind = l.kind
