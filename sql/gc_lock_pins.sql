-- Nobody pins a file from here to the end of the transaction.
LOCK TABLE snapshot_pins IN SHARE MODE
