-- Files of the tiles that are named, whatever their state.
SELECT t.release, t.survey, t.program, t.healpix, f.kind, f.key, f.size_bytes, f.etag, f.sha256
FROM unnest($1::text[], $2::text[], $3::text[], $4::int4[])
     AS n (release, survey, program, healpix)
JOIN archive_tiles t USING (release, survey, program, healpix)
JOIN archive_files f USING (tile_id)
WHERE f.state = 'present'
ORDER BY t.release, t.healpix, t.survey, t.program,
         array_position('{coadd,redrock,emline,rrdetails}', f.kind)
