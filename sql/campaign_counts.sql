-- How far the campaign is: tiles by state and by how their last try ended.
SELECT state, failures > 0 AS has_failed, outcome, count(*) AS tiles
FROM archive_tiles WHERE release = $1 GROUP BY 1, 2, 3
