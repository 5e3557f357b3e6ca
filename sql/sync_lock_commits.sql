-- Held to the end of the transaction: commits become visible in the order of their numbers. A big
-- lake may be read for long between two statements.
SELECT set_config('statement_timeout', '0', true),
       set_config('idle_in_transaction_session_timeout', '0', true),
       pg_advisory_xact_lock(hashtextextended('bifrost.commits', 0))
