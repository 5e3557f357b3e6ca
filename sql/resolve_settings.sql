-- Every question constrains other columns: a plan made for all of them at once serves none.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true)
