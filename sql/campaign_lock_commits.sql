-- As every commit, but for a holder who may be stopped in the middle: its locks fall after $1.
SELECT set_config('idle_in_transaction_session_timeout', $1, true),
       pg_advisory_xact_lock(hashtextextended('bifrost.commits', 0))
