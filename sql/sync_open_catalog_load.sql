-- Makes ready for millions of rows: indexes are built once the rows are there, and emptying an empty
-- table lets a server with wal_level = minimal write the rows once instead of twice. Readers of the
-- catalog, who would find nothing in it, wait for the end of the transaction.
DO $$
DECLARE
    index record;
BEGIN
    -- what is written is sent to the disk at once, not all of it at the end
    PERFORM set_config('backend_flush_after', '2MB', true);
    TRUNCATE catalog_rows;
    DROP TABLE IF EXISTS catalog_indexes;
    CREATE TEMP TABLE catalog_indexes ON COMMIT DROP AS
        SELECT i.indexrelid::regclass AS name, pg_get_indexdef(i.indexrelid) AS definition
        FROM pg_index AS i
        WHERE i.indrelid = 'catalog_rows'::regclass
          AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid);
    FOR index IN SELECT name FROM catalog_indexes LOOP
        EXECUTE 'DROP INDEX ' || index.name;
    END LOOP;
END
$$
