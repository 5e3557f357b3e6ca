-- Live files of a product, counted no farther than anybody cares: an answer must not cost more
-- because the survey has grown.
SELECT count(*) FROM (
    SELECT FROM file_registry WHERE state = 'live' AND product = $1 LIMIT 100001) AS live
