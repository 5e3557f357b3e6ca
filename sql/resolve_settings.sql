-- What connections that resolve run under. One plan serves all questions: which index leads to the
-- files is said by a parameter, and whatever follows is a look-up file by file.
SELECT set_config('plan_cache_mode', 'force_generic_plan', false),
       set_config('enable_hashjoin', 'off', false),
       set_config('enable_mergejoin', 'off', false),
       set_config('enable_seqscan', 'off', false)
