DELETE FROM snapshot_pins WHERE snapshot = $1
