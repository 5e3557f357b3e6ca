-- Files that a product ($2) of a lake has or had, and how much is in those that are live. They are
-- counted by folder and schema by whoever asks: sums of bigint are slow numbers here.
SELECT path, state = 'live' AS is_live, coalesce(num_rows, 0) AS num_rows, size_bytes, schema_id
FROM file_registry
WHERE lake_id = $1 AND product = $2
