-- How the live files of each product were made: program, configuration, pipeline versions.
SELECT f.product, m.fingerprint, m.document,
       count(*) AS files,
       coalesce(sum(f.num_rows), 0)::int8 AS rows
FROM file_registry AS f
LEFT JOIN file_makings AS m ON m.making_id = f.making_id
WHERE f.state = 'live'
GROUP BY f.product, m.making_id, m.fingerprint, m.document
ORDER BY f.product, count(*) DESC, m.fingerprint
