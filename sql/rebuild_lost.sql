-- What lakes cannot tell: it is lost with the registry, unless there is a backup.
SELECT (SELECT count(*) FROM commits) AS commits,
       (SELECT count(*) FROM file_registry WHERE removed_commit IS NOT NULL) AS files_gone,
       (SELECT count(*) FROM gc_marks) AS gc_marks
