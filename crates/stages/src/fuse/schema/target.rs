//! What a row says of its target: identity, redshift, targeting, photometry.

use super::{Column, Kind, Made, Origin, Row, column};

pub(super) fn identity() -> [Row; 8] {
    use Kind::*;
    use Origin::{Fibermap, Made as M};
    [
        (
            "_healpix_29",
            I64,
            M(Made::Healpix29),
            "",
            "pos.healpix",
            "HEALPix index of the position, order 29, NESTED; the pixel's first index where there is no position",
        ),
        (
            "target_id",
            I64,
            Fibermap("TARGETID"),
            "",
            "meta.id;meta.main",
            "TARGETID: unique target of the survey; negative for fibres without a target",
        ),
        (
            "survey",
            Text,
            M(Made::Survey),
            "",
            "meta.id.part",
            "Survey the tile belongs to: cmx, main, special, sv1, sv2, sv3",
        ),
        (
            "program",
            Text,
            M(Made::Program),
            "",
            "meta.id.part",
            "Program the tile belongs to: backup, bright, dark, other",
        ),
        (
            "healpix",
            I32,
            M(Made::Healpix),
            "",
            "pos.healpix",
            "HEALPix pixel of the tile, nside 64, NESTED",
        ),
        (
            "release",
            Text,
            M(Made::Release),
            "",
            "meta.version",
            "Spectroscopic production: iron is DR1, fuji EDR",
        ),
        ("coadd_row", I32, M(Made::CoaddRow), "", "meta.record", "Row in the coadd file, from 0"),
        (
            "has_position",
            Bool,
            M(Made::HasPosition),
            "",
            "meta.code",
            "Whether ra and dec are known",
        ),
    ]
}

pub(super) fn redshift() -> [Row; 10] {
    use Kind::*;
    use Origin::Redshifts as R;
    [
        ("z", F64, R("Z"), "", "src.redshift", "Redshift of the best fit"),
        (
            "zerr",
            F64,
            R("ZERR"),
            "",
            "stat.error;src.redshift",
            "Uncertainty of z, as redrock gives it",
        ),
        ("zwarn", I64, R("ZWARN"), "", "meta.code.qual", "Redshift warning bits; 0 is good"),
        (
            "spectype",
            Text,
            R("SPECTYPE"),
            "",
            "src.class",
            "Class of the best fit: GALAXY, QSO, STAR",
        ),
        ("subtype", Text, R("SUBTYPE"), "", "src.class", "Subclass of the best fit"),
        (
            "deltachi2",
            F64,
            R("DELTACHI2"),
            "",
            "stat.fit.chi2",
            "chi2 of the second-best minus that of the best fit",
        ),
        ("chi2", F64, R("CHI2"), "", "stat.fit.chi2", "chi2 of the best fit"),
        ("npixels", I32, R("NPIXELS"), "", "meta.number", "Pixels that the fit used"),
        ("ncoeff", I16, R("NCOEFF"), "", "meta.number", "Template coefficients that the fit used"),
        (
            "coeff",
            Reals,
            R("COEFF"),
            "",
            "stat.fit.param",
            "Template coefficients of the best fit, 0 beyond ncoeff",
        ),
    ]
}

pub(super) fn target() -> [Row; 14] {
    use Kind::*;
    use Origin::{Fibermap as F, Target as T};
    [
        (
            "ra",
            F64,
            F("TARGET_RA"),
            "deg",
            "pos.eq.ra;meta.main",
            "Right ascension of the target, ICRS",
        ),
        (
            "dec",
            F64,
            F("TARGET_DEC"),
            "deg",
            "pos.eq.dec;meta.main",
            "Declination of the target, ICRS",
        ),
        (
            "mean_fiber_ra",
            F64,
            F("MEAN_FIBER_RA"),
            "deg",
            "pos.eq.ra;instr",
            "Mean right ascension of the fibre over the exposures",
        ),
        (
            "mean_fiber_dec",
            F64,
            F("MEAN_FIBER_DEC"),
            "deg",
            "pos.eq.dec;instr",
            "Mean declination of the fibre over the exposures",
        ),
        (
            "objtype",
            Text,
            F("OBJTYPE"),
            "",
            "meta.code.class",
            "TGT target, SKY sky, empty for none",
        ),
        (
            "morphtype",
            Text,
            F("MORPHTYPE"),
            "",
            "src.morph.type",
            "Morphological model of the imaging survey",
        ),
        (
            "photsys",
            Text,
            F("PHOTSYS"),
            "",
            "meta.id;instr",
            "Imaging: N north, S south, G Gaia only",
        ),
        (
            "coadd_fiberstatus",
            I32,
            F("COADD_FIBERSTATUS"),
            "",
            "meta.code.qual",
            "Fibre status bits set in all exposures; 0 and 8 are good",
        ),
        (
            "desi_target",
            I64,
            T("DESI_TARGET"),
            "",
            "meta.code.class",
            "Dark-time target bits, of the survey's own definition",
        ),
        (
            "bgs_target",
            I64,
            T("BGS_TARGET"),
            "",
            "meta.code.class",
            "Bright Galaxy Survey target bits, of the survey's own definition",
        ),
        (
            "mws_target",
            I64,
            T("MWS_TARGET"),
            "",
            "meta.code.class",
            "Milky Way Survey target bits, of the survey's own definition",
        ),
        (
            "scnd_target",
            I64,
            T("SCND_TARGET"),
            "",
            "meta.code.class",
            "Secondary target bits, of the survey's own definition",
        ),
        (
            "ref_id",
            I64,
            F("REF_ID"),
            "",
            "meta.id.cross",
            "Identifier in the reference catalogue (Gaia), 0 for none",
        ),
        ("ebv", F32, F("EBV"), "mag", "phot.color.excess", "Galactic reddening E(B-V)"),
    ]
}

/// (column suffix, FITS names, UCD, name)
const BANDS: [(&str, &str, &str, &str, &str); 5] = [
    ("g", "FLUX_G", "FLUX_IVAR_G", "phot.flux;em.opt.B", "g"),
    ("r", "FLUX_R", "FLUX_IVAR_R", "phot.flux;em.opt.R", "r"),
    ("z", "FLUX_Z", "FLUX_IVAR_Z", "phot.flux;em.opt.I", "z"),
    ("w1", "FLUX_W1", "FLUX_IVAR_W1", "phot.flux;em.IR.3-4um", "WISE W1"),
    ("w2", "FLUX_W2", "FLUX_IVAR_W2", "phot.flux;em.IR.4-8um", "WISE W2"),
];

pub(super) fn photometry() -> Vec<Column> {
    use Kind::F32;
    use Origin::Fibermap as F;
    let mut all = Vec::new();
    for (suffix, flux, _, ucd, name) in BANDS {
        all.push(Column {
            name: format!("flux_{suffix}"),
            kind: F32,
            origin: F(flux),
            unit: "'nanomaggy'",
            ucd,
            description: format!("Total {name} flux of the imaging survey"),
        });
    }
    for (suffix, _, ivar, _, name) in BANDS {
        all.push(Column {
            name: format!("flux_ivar_{suffix}"),
            kind: F32,
            origin: F(ivar),
            unit: "'nanomaggy'**-2",
            ucd: "stat.weight;phot.flux",
            description: format!("Inverse variance of the total {name} flux"),
        });
    }
    let motion = [
        (
            "pmra",
            F32,
            F("PMRA"),
            "mas.yr**-1",
            "pos.pm;pos.eq.ra",
            "Proper motion in right ascension, with cos(dec)",
        ),
        (
            "pmdec",
            F32,
            F("PMDEC"),
            "mas.yr**-1",
            "pos.pm;pos.eq.dec",
            "Proper motion in declination",
        ),
        ("parallax", F32, F("PARALLAX"), "mas", "pos.parallax", "Parallax"),
    ];
    all.extend(motion.map(column));
    all
}
