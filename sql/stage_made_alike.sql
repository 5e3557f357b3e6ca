-- Whether a product has files, all of which one version of a stage made with one configuration.
SELECT coalesce(bool_and(m.document ->> 'config' = $3 AND m.document -> 'stage' ->> 'version' = $2::int4::text), false) AS are_alike
FROM file_registry f LEFT JOIN file_makings m USING (making_id)
WHERE f.product = $1 AND f.state = 'live'
