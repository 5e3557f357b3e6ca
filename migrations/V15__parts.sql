-- Who is at work on which part of a long computation that several processes share.
--
--   * A part's output is the same whoever makes it, and is put where all of them look as a whole: two
--     that work on one part waste time, and harm nothing. So a lease that lapses is simply taken.
--   * Rows are of work under way: who ends a part deletes its row.

CREATE TABLE part_leases (
    part       integer NOT NULL,
    lease_s    float8 NOT NULL,
    expires_at timestamptz NOT NULL,
    run_id     uuid NOT NULL,
    work       text COLLATE "C" NOT NULL,
    step       text COLLATE "C" NOT NULL,
    node       text COLLATE "C" NOT NULL,
    PRIMARY KEY (work, step, part)
);
CREATE INDEX part_leases_run ON part_leases (run_id);
COMMENT ON TABLE part_leases IS 'Parts of computations over the whole survey that somebody is at work on';
COMMENT ON COLUMN part_leases.part IS 'Number of the part, from 0';
COMMENT ON COLUMN part_leases.lease_s IS 'For how long the lease is taken each time, seconds';
COMMENT ON COLUMN part_leases.expires_at IS 'When others may take it (UTC)';
COMMENT ON COLUMN part_leases.run_id IS 'The process that holds it';
COMMENT ON COLUMN part_leases.work IS 'Digest of what is computed of what';
COMMENT ON COLUMN part_leases.step IS 'Step of the computation';
COMMENT ON COLUMN part_leases.node IS 'Node of that process';
