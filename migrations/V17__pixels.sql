-- Which files of tiles lie where a question looks: by their pixels, which an index has in front.
--
-- What Bifrost wrote lies in the pixel of its tile, and few files do not: those alone have to be
-- searched on the sky. With the release behind the pixel, a question about one release among hundreds
-- leaves the others unread.

CREATE INDEX file_registry_astray ON file_registry USING gist (sky)
    WHERE state = 'live' AND (NOT is_ours OR healpix IS NULL OR NOT sky <@ int8range(healpix::int8 << 46, (healpix::int8 + 1) << 46));
CREATE INDEX file_registry_anywhere ON file_registry (product) WHERE state = 'live' AND sky IS NULL;
