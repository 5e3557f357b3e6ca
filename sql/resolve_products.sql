SELECT product, count(*) FROM file_registry WHERE state = 'live' GROUP BY product ORDER BY product
