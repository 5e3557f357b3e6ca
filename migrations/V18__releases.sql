-- The release of a file among its cells: a question about one release of many reads the index entries of
-- that one, and does not name the files of all others.

-- by 14 bits of the name's SHA-256, as occupancy.rs counts them
CREATE FUNCTION release_cell(release text) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN release IS NULL THEN 4095
                ELSE 4096 + (get_byte(h, 0) % 64) * 256 + get_byte(h, 1) END::smallint
    FROM sha256(convert_to(coalesce(release, ''), 'UTF8')) AS h
$$;
UPDATE file_cells x SET cells = x.cells || release_cell(f.release) FROM file_registry f WHERE f.file_id = x.file_id;
UPDATE past_cells x SET cells = x.cells || release_cell(f.release) FROM file_registry f WHERE f.file_id = x.file_id;
DROP FUNCTION release_cell;
COMMENT ON COLUMN file_cells.cells IS 'Cells that hold an object, ascending: 256 (2 class + good) + bin; class: 0 GALAXY, 1 QSO, 2 STAR, 3 any other or none; good: 1 where zwarn = 0; bin: 0 to 142 = the bin of file_classes and 2; 160 to 177 = eight bins together, (bin + 2) / 8; 255 = no redshift. Behind them the release: 4096 + the first 16 bits of its name''s SHA-256 modulo 16384; 4095 = none';
COMMENT ON COLUMN past_cells.cells IS 'As in file_cells';
