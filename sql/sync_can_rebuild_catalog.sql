-- Whether the catalog never held anything, so that nobody's snapshot, however old, has rows to lose
-- in it, and is ours to rebuild.
SELECT pg_relation_size(oid) = 0 AND pg_has_role(relowner, 'USAGE')
FROM pg_class
WHERE oid = 'catalog_rows'::regclass
