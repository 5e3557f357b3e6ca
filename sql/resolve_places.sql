SELECT l.lake_id, l.node, l.root, n.uri_prefixes
FROM lakes l JOIN nodes n USING (node)
