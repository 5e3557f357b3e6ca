-- What tries have cost so far.
UPDATE campaign_attempts a
SET bytes_fetched = m.bytes_fetched, bytes_in = m.bytes_in, bytes_out = m.bytes_out, rows = m.rows,
    fetch_s = m.fetch_s, make_s = m.make_s, retries = m.retries
FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::float8[], $7::float8[],
            $8::int4[])
     AS m (attempt_id, bytes_fetched, bytes_in, bytes_out, rows, fetch_s, make_s, retries)
WHERE a.attempt_id = m.attempt_id
