-- Numbers of the tiles that are named.
SELECT t.tile_id
FROM unnest($1::text[], $2::text[], $3::text[], $4::int4[]) AS n (release, survey, program, healpix)
JOIN archive_tiles t USING (release, survey, program, healpix)
