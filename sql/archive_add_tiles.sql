WITH added AS (
    INSERT INTO archive_tiles (release, survey, program, healpix, source)
    SELECT DISTINCT release, survey, program, healpix, $1 FROM archive_seen
    ORDER BY release, healpix, survey, program
    ON CONFLICT (release, survey, program, healpix) DO NOTHING
    RETURNING tile_id)
SELECT count(*) FROM added
