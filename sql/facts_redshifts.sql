-- Objects with zwarn = 0 of the cataloged files by survey, class and bin of redshift (bin b is
-- 0.05 b <= z < 0.05 (b + 1)). A file stands for all of its survey, so that the million small
-- counts are grouped by a number; unnest stands in the list, where it costs a third of a lateral
-- join.
WITH live AS MATERIALIZED (
    SELECT file_id, min(file_id) OVER (PARTITION BY release, survey, program) AS alike
    FROM file_registry
    WHERE state = 'live' AND in_catalog
), binned AS (
    SELECT l.alike, c.spectype, unnest(c.z_bins) AS z_bin, unnest(c.z_counts) AS objects
    FROM file_classes AS c
    JOIN live AS l ON l.file_id = c.file_id
    WHERE c.zwarn_zero
), summed AS (
    SELECT alike, spectype, z_bin, sum(objects) AS objects
    FROM binned
    GROUP BY alike, spectype, z_bin
)
SELECT f.release, f.survey, f.program, s.spectype, s.z_bin, s.objects
FROM summed AS s
JOIN file_registry AS f ON f.file_id = s.alike
ORDER BY f.release, f.survey, f.program, s.spectype, s.z_bin
