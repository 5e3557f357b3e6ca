-- Where a question looks, in one release of hundreds: with the release before the pixel, a run of pixels is
-- a run of the index.

CREATE INDEX file_registry_release ON file_registry (release, healpix, product) WHERE state = 'live' AND is_ours;
