-- What the catalog knows of a file's objects, packed: a process that asks for lists again and again learns
-- all of it once, some 6 bytes an object, and looks up nothing more than whether it is still so.
--
-- header  runs of TARGETIDs whose bits from the 22nd up are alike: of one release and brick, as a rule
--         (4 bytes)
-- run     what they begin with, target_id >> 22 (8 bytes); objects up to the end of the run, from the
--         first run on (4 bytes). Ascending
-- object  the low 22 bits of its TARGETID, then 26 bits of its row in the file, from 0 (6 bytes).
--         Ascending; an object comes as often as it has rows
--
-- All numbers are as send functions of their types write them.

ALTER TABLE file_cells ADD COLUMN objects bytea;
-- numbers that hardly compress, of which each is read whole
ALTER TABLE file_cells ALTER COLUMN objects SET STORAGE EXTERNAL;
COMMENT ON COLUMN file_cells.objects IS 'TARGETIDs and rows of all objects of the file, packed as the migration that made the column explains; NULL where that is not known, or a row is beyond 67 million';

WITH runs AS (
    SELECT file_id, target_id >> 22 AS brick, count(*) AS objects, max(row_index) AS row_index_max,
           string_agg(substring(int8send(((target_id & 4194303) << 26) | row_index) FROM 3), ''::bytea
                      ORDER BY target_id, row_index) AS packed
    FROM catalog_rows GROUP BY file_id, target_id >> 22),
ends AS (
    SELECT *, sum(objects) OVER (PARTITION BY file_id ORDER BY brick) AS upto FROM runs),
files AS (
    SELECT file_id,
           int4send(count(*)::integer)
           || string_agg(int8send(brick) || int4send(upto::integer), ''::bytea ORDER BY brick)
           || string_agg(packed, ''::bytea ORDER BY brick) AS objects
    FROM ends GROUP BY file_id HAVING max(row_index_max) < 67108864)
UPDATE file_cells x SET objects = f.objects FROM files f WHERE f.file_id = x.file_id;
UPDATE file_cells x SET objects = int4send(0)
WHERE x.objects IS NULL AND NOT EXISTS (SELECT FROM catalog_rows c WHERE c.file_id = x.file_id);

-- questions about then do without
CREATE OR REPLACE FUNCTION forget_cells() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH gone AS (
        DELETE FROM file_cells x USING now JOIN before USING (file_id)
        WHERE x.file_id = now.file_id
          AND before.state = 'live' AND before.in_catalog
          AND NOT (now.state = 'live' AND now.in_catalog)
        RETURNING x.file_id, x.cells, x.ends)
    INSERT INTO past_cells (file_id, cells, ends) SELECT file_id, cells, ends FROM gone ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
