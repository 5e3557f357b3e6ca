-- Files ($2) that a snapshot names: gc keeps them. Not before gc is done with deciding, which the
-- trigger then sees.
INSERT INTO snapshot_pins (snapshot, file_id) SELECT $1, unnest($2::int8[])
