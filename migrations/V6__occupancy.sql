-- What a resolution needs to know of a file, in one row that an index leads to.
--
--   file_registry ──  file_cells   (which combinations of class, quality and redshift it holds)
--
--   * Least and greatest values say little of the sky: nearly every tile holds one distant quasar
--     and one good redshift. A cell says that some object is both.
--   * The bounds of the columns that most questions are about lie packed in the file's own row, for
--     the file and for each of its row groups: what has to be looked up by thousands must not lie
--     in thousands of other places.

ALTER TABLE file_registry
    ADD COLUMN is_ours boolean NOT NULL DEFAULT false,
    ADD COLUMN promoted bytea,
    ADD COLUMN has_cells boolean NOT NULL GENERATED ALWAYS AS (in_catalog AND is_ours) STORED;
COMMENT ON COLUMN file_registry.is_ours IS 'Whether Bifrost wrote it: then name, columns and catalog are known to agree, and there is no NaN';
COMMENT ON COLUMN file_registry.promoted IS 'Bounds of the columns that most questions are about, of the file and of each row group, as registry/promoted.rs packs them; NULL = see file_bounds';
COMMENT ON COLUMN file_registry.has_cells IS 'Whether file_cells tells everything that is in it';
UPDATE file_registry f SET is_ours = true
FROM file_makings m WHERE m.making_id = f.making_id AND m.document ? 'version';
-- files that are not known by cells are few, and have to be looked at one by one
CREATE INDEX file_registry_without_cells ON file_registry (product) WHERE state = 'live' AND NOT has_cells;

CREATE TABLE file_cells (
    file_id bigint PRIMARY KEY,
    cells   smallint[] NOT NULL
);
COMMENT ON TABLE file_cells IS 'Which combinations of class, good or bad redshift, and redshift bin occur in a cataloged file that Bifrost wrote';
COMMENT ON COLUMN file_cells.file_id IS 'The file';
COMMENT ON COLUMN file_cells.cells IS 'Cells that hold an object, ascending: 256 (2 class + good) + bin; class: 0 GALAXY, 1 QSO, 2 STAR, 3 any other or none; good: 1 where zwarn = 0; bin: 0 to 142 = the bin of file_classes and 2; 160 to 177 = eight bins together, (bin + 2) / 8; 255 = no redshift';
INSERT INTO file_cells (file_id, cells)
SELECT c.file_id, array_agg(DISTINCT cell::smallint ORDER BY cell::smallint)
FROM file_classes c
JOIN file_registry f USING (file_id)
CROSS JOIN LATERAL (
    SELECT 256 * (CASE c.spectype WHEN 'GALAXY' THEN 0 WHEN 'QSO' THEN 2 WHEN 'STAR' THEN 4 ELSE 6 END
                  + c.zwarn_zero::integer)) AS k (base)
CROSS JOIN LATERAL (
    SELECT base + bin + 2 FROM unnest(c.z_bins) AS bin
    UNION SELECT base + 160 + (bin + 2) / 8 FROM unnest(c.z_bins) AS bin
    UNION SELECT base + 255
    WHERE c.num_rows > (SELECT coalesce(sum(n), 0) FROM unnest(c.z_counts) AS n)) AS b (cell)
WHERE f.state = 'live'
GROUP BY c.file_id;
-- what waits to be sorted in would be searched by every question
CREATE INDEX file_cells_cells ON file_cells USING gin (cells) WITH (fastupdate = off);
