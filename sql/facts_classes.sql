-- Objects of the cataloged files by survey, class and quality, with and without a redshift.
SELECT f.release, f.survey, f.program, c.spectype, c.zwarn_zero,
       sum(c.num_rows)::int8 AS objects,
       min(c.z_min) AS z_min,
       max(c.z_max) AS z_max
FROM file_classes AS c
JOIN file_registry AS f ON f.file_id = c.file_id AND f.state = 'live'
GROUP BY f.release, f.survey, f.program, c.spectype, c.zwarn_zero
ORDER BY f.release, f.survey, f.program, c.spectype, c.zwarn_zero
