-- What follows can be undone without losing what went before.
SAVEPOINT catalog_slice
