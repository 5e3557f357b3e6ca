-- Of the tiles that are named, those that are made.
SELECT concat_ws('-', release, survey, program, healpix) AS tile
FROM unnest($1::text[], $2::text[], $3::text[], $4::int4[]) AS n (release, survey, program, healpix)
JOIN archive_tiles USING (release, survey, program, healpix)
WHERE state = 'done'
