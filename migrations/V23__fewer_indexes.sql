-- Indexes that no question came to use, and two that are one: what is kept of every file is paid for
-- by every commit. Bounds of redshift and TARGETID say little of a tile; cells, the catalog and
-- files_with() find what is asked of them.

DROP INDEX file_registry_redshift;
DROP INDEX file_registry_target_id;
DROP INDEX file_registry_off_brick;

-- files that are not known by cells have to be looked at one by one; what others wrote is never known so,
-- and is found by pixel
DROP INDEX file_registry_others;
DROP INDEX file_registry_without_cells;
CREATE INDEX file_registry_without_cells ON file_registry (product, is_ours, healpix)
    WHERE state = 'live' AND NOT has_cells;
