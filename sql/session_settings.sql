-- What every connection of the program runs under. Postgres compiles queries only when they are
-- long; ours are short. A bulk load may take long, a forgotten transaction may not.
SELECT set_config('TimeZone', 'UTC', false),
       set_config('jit', 'off', false),
       set_config('statement_timeout', '1h', false),
       set_config('idle_in_transaction_session_timeout', '10min', false)
