SELECT product, count(*) FROM files_as_of($1) GROUP BY product ORDER BY product
