-- Objects that live files hold more than once within a release, survey and program, by the files
-- that hold them, one of which is the lake's. A negative TARGETID is no real target.
WITH several AS (
    SELECT target_id FROM catalog_rows WHERE target_id >= 0
    GROUP BY target_id HAVING count(*) > 1),
twice AS (
    SELECT c.target_id, min(f.path) FILTER (WHERE f.lake_id = $1) AS path,
           string_agg(DISTINCT CASE WHEN f.lake_id = $1 THEN '' ELSE f.node || ':' END || f.path, ', ')
               AS paths
    FROM several JOIN catalog c USING (target_id) JOIN file_registry f USING (file_id)
    GROUP BY c.release, c.survey, c.program, c.target_id
    HAVING count(*) > 1 AND bool_or(f.lake_id = $1))
SELECT path, paths, count(*), min(target_id) FROM twice GROUP BY path, paths ORDER BY path, paths LIMIT $2
