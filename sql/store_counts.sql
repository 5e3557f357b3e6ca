-- How many tiles the spectra stores of all lakes hold, hold as they are no longer, and lack.
-- $1 version of the stage.
SELECT count(*) FILTER (WHERE state = 'made') AS made,
       count(*) FILTER (WHERE state = 'stale') AS stale,
       count(*) FILTER (WHERE state = 'missing') AS missing
FROM store_tiles($1)
