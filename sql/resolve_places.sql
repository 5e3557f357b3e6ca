SELECT l.lake_id, l.root, n.uri_prefixes
FROM lakes l JOIN nodes n USING (node)
