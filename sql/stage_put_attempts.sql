-- How tiles ended; of one that a run comes to twice the last counts.
INSERT INTO stage_attempts AS a (run_id, release, survey, program, healpix, outcome, error, rows,
                                 bytes_in, bytes_out, seconds, tries)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::int4[], $6::text[], $7::text[],
                         $8::int8[], $9::int8[], $10::int8[], $11::float8[], $12::int4[])
ON CONFLICT (run_id, healpix, program, survey, release) DO UPDATE
SET ended_at = clock_timestamp(), outcome = excluded.outcome, error = excluded.error,
    rows = excluded.rows, bytes_in = excluded.bytes_in, bytes_out = excluded.bytes_out,
    seconds = excluded.seconds, tries = excluded.tries
