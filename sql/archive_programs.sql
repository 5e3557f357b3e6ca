-- What inventories of a release have been about.
SELECT DISTINCT survey, program FROM archive_tiles WHERE release = $1 ORDER BY survey, program
