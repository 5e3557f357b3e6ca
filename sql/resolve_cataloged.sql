-- The files of which the catalog has rows, unless there are more than so many, and the bytes of what is packed
-- of their objects: NULL where some of that is missing.
SELECT (SELECT registry_id FROM registry_identity) AS registry_id,
       (SELECT coalesce(max(commit_id), 0) FROM commits) AS commit_id,
       coalesce(array_agg(x.file_id), '{}') AS file_ids,
       CASE WHEN count(x.objects) = count(*) THEN coalesce(sum(octet_length(x.objects)), 0)::int8 END AS bytes
FROM (SELECT file_id, objects FROM file_cells LIMIT $1) AS x
