-- Tiles of a release that the archive had when it was last looked at.
SELECT survey, program, healpix FROM archive_tiles
WHERE release = $1 AND ($2::text IS NULL OR survey = $2) AND ($3::text IS NULL OR program = $3)
ORDER BY survey, program, healpix
