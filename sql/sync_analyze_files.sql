-- Tells the planner of thousands of new files at once, and not when autovacuum gets to it. Only the owner may.
DO $$
BEGIN
    IF pg_has_role((SELECT relowner FROM pg_class WHERE oid = 'file_registry'::regclass), 'USAGE') THEN
        -- a sample that says which index to take; autovacuum looks closer
        PERFORM set_config('default_statistics_target', '10', true);
        ANALYZE file_registry (product, state, healpix, release, is_ours, has_cells, fault);
    END IF;
END
$$
