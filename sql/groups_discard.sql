DELETE FROM group_catalogs
