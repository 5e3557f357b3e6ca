COPY archive_seen (size_bytes, healpix, release, survey, program, kind, key, etag, sha256)
FROM STDIN (FORMAT binary)
