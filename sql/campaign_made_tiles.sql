-- Of the tiles that are named, those that a campaign has made since.
SELECT concat_ws('-', release, survey, program, healpix) AS tile
FROM unnest($1::text[], $2::text[], $3::text[], $4::int4[], $5::timestamptz[])
     AS n (release, survey, program, healpix, at)
JOIN archive_tiles t USING (release, survey, program, healpix)
WHERE t.state = 'done'
  AND EXISTS (SELECT FROM campaign_attempts a
              WHERE a.tile_id = t.tile_id AND a.outcome IN ('converted', 'empty', 'unchanged')
                AND a.ended_at > n.at)
