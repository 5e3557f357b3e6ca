-- Pins of all snapshots: they name versions of files by themselves, and outlive the registry.
SELECT count(*) FROM snapshot_pins
