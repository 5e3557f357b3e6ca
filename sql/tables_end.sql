-- Ends what a resolution by people's tables ran in, and with it its locks on them.
ROLLBACK
