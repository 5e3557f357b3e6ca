-- Builds the indexes that sync_open_catalog_load.sql took away, each as it was defined.
DO $$
DECLARE
    index record;
BEGIN
    PERFORM set_config('maintenance_work_mem', '256MB', true);
    FOR index IN SELECT definition FROM catalog_indexes LOOP
        EXECUTE index.definition;
    END LOOP;
END
$$
