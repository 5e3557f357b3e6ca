-- Pixels of a lake of which the spectra store lacks tiles, or holds some as they are no longer, and why.
-- $1 lake, $2 version of the stage.
SELECT healpix, min(reason) AS reason
FROM store_tiles($2)
WHERE lake_id = $1 AND state <> 'made'
GROUP BY healpix
ORDER BY healpix
