-- Redshifts of objects of whatever class and quality among the cells: a question about redshift alone
-- looks up an eighth of what it had to.

CREATE FUNCTION with_any_class(cells smallint[]) RETURNS smallint[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(cell ORDER BY cell)
    FROM (SELECT unnest(cells) AS cell
          UNION
          SELECT 2048 + cell % 256 FROM unnest(cells) AS cell WHERE cell < 2048) AS held
$$;
-- built anew, which is quicker than to be told of every file; and what comes later is sorted in by
-- commits, thousands of files at once, before anybody sees it
DROP INDEX file_cells_cells;
UPDATE file_cells SET cells = with_any_class(cells);
UPDATE past_cells SET cells = with_any_class(cells);
CREATE INDEX file_cells_cells ON file_cells USING gin (cells) WITH (fastupdate = on, gin_pending_list_limit = 65536);
CREATE FUNCTION sort_in_cells() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT SET maintenance_work_mem = '256MB' AS $$
    SELECT gin_clean_pending_list('file_cells_cells')
$$;
COMMENT ON FUNCTION sort_in_cells IS 'Sorts into the index of cells what waits to be, which every question would have to search; each commit does. Changes no row';
DROP FUNCTION with_any_class;
COMMENT ON COLUMN file_cells.cells IS 'Cells that hold an object, ascending: 256 (2 class + good) + bin; class: 0 GALAXY, 1 QSO, 2 STAR, 3 any other or none; good: 1 where zwarn = 0; bin: 0 to 142 = the bin of file_classes and 2; 160 to 177 = eight bins together, (bin + 2) / 8; 255 = no redshift; 2048 + bin: of whatever class and quality. Behind them the release: 4096 + the first 16 bits of its name''s SHA-256 modulo 16384; 4095 = none';
