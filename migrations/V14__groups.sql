-- Groups of galaxies, whole: the product `groups` has them galaxy by galaxy.
--
--   group_catalogs ──< galaxy_groups
--
--   * A catalog is of one tracer in one cap, and is replaced as a whole when groups are looked for
--     again; it holds no more than the product's files tell, and can be made again from them.

CREATE TABLE group_catalogs (
    catalog_id    integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    made_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    galaxies      bigint NOT NULL,
    groups        bigint NOT NULL,
    tracer        text COLLATE "C" NOT NULL,
    cap           text COLLATE "C" NOT NULL CHECK (cap IN ('ngc', 'sgc')),
    configuration jsonb NOT NULL,
    UNIQUE (tracer, cap)
);
COMMENT ON TABLE group_catalogs IS 'Catalogs of groups of galaxies: one a tracer and cap of the sky';
COMMENT ON COLUMN group_catalogs.catalog_id IS 'Its number';
COMMENT ON COLUMN group_catalogs.made_at IS 'When it was made (UTC)';
COMMENT ON COLUMN group_catalogs.galaxies IS 'Galaxies that were looked at, those in no group included';
COMMENT ON COLUMN group_catalogs.groups IS 'Groups of two galaxies and more';
COMMENT ON COLUMN group_catalogs.tracer IS 'Kind of galaxies';
COMMENT ON COLUMN group_catalogs.cap IS 'Side of the galactic plane: ngc or sgc';
COMMENT ON COLUMN group_catalogs.configuration IS 'Linking lengths, cosmology and digest of the sample: as in the footers of the product';

CREATE TABLE galaxy_groups (
    catalog_id    integer NOT NULL REFERENCES group_catalogs ON DELETE CASCADE,
    size          integer NOT NULL,
    group_id      bigint NOT NULL,
    ra            float8 NOT NULL,
    dec           float8 NOT NULL,
    z             float8 NOT NULL,
    sigma_v       float8,
    sigma_v_error float8,
    r50           float8,
    PRIMARY KEY (catalog_id, group_id)
);
COMMENT ON TABLE galaxy_groups IS 'Groups of galaxies by friends of friends';
COMMENT ON COLUMN galaxy_groups.catalog_id IS 'The catalog';
COMMENT ON COLUMN galaxy_groups.size IS 'Galaxies in it, at least 2';
COMMENT ON COLUMN galaxy_groups.group_id IS 'The smallest TARGETID of its galaxies, as in the column group_id of the product';
COMMENT ON COLUMN galaxy_groups.ra IS 'Right ascension of its centre (ICRS, degrees)';
COMMENT ON COLUMN galaxy_groups.dec IS 'Declination of its centre (ICRS, degrees)';
COMMENT ON COLUMN galaxy_groups.z IS 'Redshift: the median of its galaxies';
COMMENT ON COLUMN galaxy_groups.sigma_v IS 'Velocity dispersion by the gapper (km/s); NULL of too few galaxies';
COMMENT ON COLUMN galaxy_groups.sigma_v_error IS 'Its error (km/s)';
COMMENT ON COLUMN galaxy_groups.r50 IS 'Projected comoving radius that holds half of its galaxies (Mpc)';
