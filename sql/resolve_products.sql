-- Products that have live files, each found by one hop over the index.
WITH RECURSIVE hops AS (
    SELECT min(product) AS product FROM file_registry WHERE state = 'live'
    UNION ALL
    SELECT (SELECT min(f.product) FROM file_registry f WHERE f.state = 'live' AND f.product > h.product)
    FROM hops h WHERE h.product IS NOT NULL)
SELECT product FROM hops WHERE product IS NOT NULL
