-- Held to the end of the transaction: commits become visible in the order of their numbers. A big
-- lake may be read for long between two statements; but whoever is stopped, or cut off, in the
-- middle must not keep all others waiting for ever.
SELECT set_config('statement_timeout', '0', true),
       set_config('idle_in_transaction_session_timeout', '30min', true),
       pg_advisory_xact_lock(hashtextextended('bifrost.commits', 0))
