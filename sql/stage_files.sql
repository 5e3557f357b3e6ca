SELECT count(*) FROM file_registry WHERE state = 'live' AND product = $1 AND healpix IS NOT NULL
