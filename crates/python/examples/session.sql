-- What psql sees of a lake: bifrost db psql -f session.sql
\set ON_ERROR_STOP on
\echo objects by class, the best row of each
SELECT spectype, count(*), round(avg(z)::numeric, 2) AS mean_z
FROM objects WHERE is_primary AND zwarn = 0 GROUP BY spectype ORDER BY spectype;

\echo files that can hold quasars beyond redshift 2
SELECT path FROM files_with(z => '(2,)', spectype => '{QSO}', zwarn => '[0,0]') ORDER BY path;

\echo a table of one's own leads to rows of files
CREATE TEMPORARY TABLE mine AS SELECT target_id FROM objects WHERE z > 2 AND is_primary;
SELECT o.program, count(*) FROM mine JOIN objects o USING (target_id) GROUP BY o.program ORDER BY o.program;
