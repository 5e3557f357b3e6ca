-- The first of $1 numbers in a row; nobody else draws numbers under the lock of commits.
SELECT setval(s, nextval(s) + $1 - 1) - $1 + 1
FROM pg_get_serial_sequence('file_registry', 'file_id') AS s
