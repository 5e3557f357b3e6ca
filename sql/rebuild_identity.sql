-- It is another registry now: numbers of files mean others.
UPDATE registry_identity SET registry_id = gen_random_uuid()
