-- What every connection of the program runs under. Postgres compiles queries only when they are
-- long; ours are short. A bulk load may take long, a forgotten transaction may not. A client that
-- dies while it waits for a lock is noticed (by servers that can).
SELECT set_config('TimeZone', 'UTC', false),
       set_config('jit', 'off', false),
       set_config('statement_timeout', '1h', false),
       set_config('idle_in_transaction_session_timeout', '10min', false),
       set_config('tcp_keepalives_idle', '60', false),
       set_config('tcp_keepalives_interval', '15', false),
       set_config('tcp_keepalives_count', '4', false),
       set_config('client_connection_check_interval',
                  CASE WHEN version() LIKE '%linux%' THEN '5s' ELSE '0' END, false)
