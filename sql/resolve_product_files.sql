SELECT count(*) FROM file_registry WHERE state = 'live' AND product = $1
