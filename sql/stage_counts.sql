-- How many tiles of a stage are made, stale and missing, over all lakes.
SELECT count(*) FILTER (WHERE state = 'made'), count(*) FILTER (WHERE state = 'stale'),
       count(*) FILTER (WHERE state = 'missing')
FROM stage_tiles($1, $2, $3, $4)
