SELECT count(*) FROM (
    SELECT FROM files_as_of($2) WHERE product = $1 LIMIT 100001) AS live
