-- Files of tiles that are to be made, tiles of a pixel together.
SELECT t.release, t.survey, t.program, t.healpix, f.kind, f.key, f.size_bytes, f.etag, f.sha256
FROM (SELECT * FROM archive_tiles
      WHERE state = 'queued' AND ($1::text IS NULL OR release = $1)
        AND ($2::text IS NULL OR survey = $2) AND ($3::text IS NULL OR program = $3)
      ORDER BY release, healpix, survey, program
      LIMIT $4) AS t
JOIN archive_files f USING (tile_id)
WHERE f.state = 'present'
ORDER BY t.release, t.healpix, t.survey, t.program,
         array_position('{coadd,redrock,emline,rrdetails}', f.kind)
