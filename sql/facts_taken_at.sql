-- The moment of the snapshot.
SELECT now() AS taken_at
