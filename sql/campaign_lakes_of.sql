-- Lakes of a node.
SELECT lake_id, root FROM lakes WHERE node = $1 ORDER BY lake_id
