-- Rights are those of a server's roles, and no part of a backup.
SELECT registry_grants()
