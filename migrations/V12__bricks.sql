-- Where the objects of a file lie, by their names.
--
-- A TARGETID of the imaging surveys names a brick of a quarter of a degree. A file that says that all
-- its rows lie in the bricks that they name needs to be asked for an object only if the brick is near.

ALTER TABLE file_registry ADD COLUMN off_brick bigint;
COMMENT ON COLUMN file_registry.off_brick IS 'Rows whose TARGETID names a brick of the Legacy Surveys in which they do not lie, within one arc minute, as its maker stated it; 0 = names can be relied on, NULL = not known';

-- questions that look things up on the sky look at these besides
CREATE INDEX file_registry_others ON file_registry (product) WHERE state = 'live' AND NOT has_cells AND NOT is_ours;
CREATE INDEX file_registry_off_brick ON file_registry (product) WHERE state = 'live' AND NOT has_cells AND off_brick IS DISTINCT FROM 0;
