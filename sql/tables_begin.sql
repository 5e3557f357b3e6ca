-- What a resolution by people's tables runs in: one snapshot, and nothing can be written.
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY
