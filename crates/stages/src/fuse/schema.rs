//! The fused row, as one table: where each column comes from, its type, unit, UCD and meaning.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bifrost_core::metadata;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Bool,
    /// 16-bit integer.
    I16,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Text.
    Text,
    /// A few doubles.
    Reals,
    /// A double for each pixel.
    PixelsF64,
    /// A single for each pixel.
    PixelsF32,
    /// 32 bits for each pixel.
    PixelsI32,
}

impl Kind {
    /// The Arrow type.
    #[must_use]
    pub fn data_type(self) -> DataType {
        let list = |item| DataType::List(Arc::new(Field::new("element", item, false)));
        match self {
            Self::Bool => DataType::Boolean,
            Self::I16 => DataType::Int16,
            Self::I32 => DataType::Int32,
            Self::I64 => DataType::Int64,
            Self::F32 => DataType::Float32,
            Self::F64 => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Reals | Self::PixelsF64 => list(DataType::Float64),
            Self::PixelsF32 => list(DataType::Float32),
            Self::PixelsI32 => list(DataType::Int32),
        }
    }

    /// Whether there is a value for each pixel.
    #[must_use]
    pub fn is_pixels(self) -> bool {
        matches!(self, Self::PixelsF64 | Self::PixelsF32 | Self::PixelsI32)
    }
}

/// What is made from several things, or from none of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Sky index of the position.
    Healpix29,
    /// Survey of the tile.
    Survey,
    /// Program of the tile.
    Program,
    /// Pixel of the tile.
    Healpix,
    /// Release of the tile.
    Release,
    /// Row in the coadd file.
    CoaddRow,
    /// Whether the position is finite.
    HasPosition,
    /// From the exposures: first and last night; first, mean and last MJD.
    FirstNight,
    /// See above.
    LastNight,
    /// See above.
    MinMjd,
    /// See above.
    MeanMjd,
    /// See above.
    MaxMjd,
    /// Whether the emline file has the target.
    HasEmline,
    /// Whether the rrdetails file has the target.
    HasRrdetails,
    /// Of the second-best fit.
    Z2,
    /// See above.
    Chi22,
    /// See above.
    Deltachi22,
    /// See above.
    Spectype2,
    /// See above.
    Subtype2,
    /// Least chi2 of a class: 0 GALAXY, 1 QSO, 2 STAR.
    BestChi2(usize),
    /// Good pixels of an arm: 0 B, 1 R, 2 Z. Known once the arrays are read.
    GoodPix(usize),
    /// The array columns.
    Pixels,
}

/// Where a column comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// FIBERMAP of the coadd file.
    Fibermap(&'static str),
    /// FIBERMAP, in the survey's own column where there is one (SV1_DESI_TARGET …).
    Target(&'static str),
    /// REDSHIFTS of the redrock file.
    Redshifts(&'static str),
    /// SCORES of the coadd file, else TSNR2 of the redrock file.
    Scores(&'static str),
    /// EMLINEFIT of the emline file.
    Emline(String),
    /// None of these alone.
    Made(Made),
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Lower snake_case.
    pub name: String,
    /// Type.
    pub kind: Kind,
    /// Where it comes from.
    pub origin: Origin,
    /// Unit, VOUnit spelling; empty for none.
    pub unit: &'static str,
    /// IVOA UCD1+ word.
    pub ucd: &'static str,
    /// One sentence.
    pub description: String,
}

impl Column {
    /// Never NULL: what is made from the tile itself, and arrays.
    #[must_use]
    pub fn is_required(&self) -> bool {
        use Made::*;
        match &self.origin {
            Origin::Fibermap(card) => *card == "TARGETID",
            Origin::Made(made) => matches!(
                made,
                Healpix29
                    | Survey
                    | Program
                    | Healpix
                    | Release
                    | CoaddRow
                    | HasPosition
                    | HasEmline
                    | HasRrdetails
                    | GoodPix(_)
                    | Pixels
            ),
            _ => false,
        }
    }

    fn field(&self) -> Field {
        let mut about = HashMap::from([
            (metadata::UCD.to_owned(), self.ucd.to_owned()),
            (metadata::DESCRIPTION.to_owned(), self.description.clone()),
        ]);
        if !self.unit.is_empty() {
            about.insert(metadata::UNIT.to_owned(), self.unit.to_owned());
        }
        Field::new(&self.name, self.kind.data_type(), !self.is_required()).with_metadata(about)
    }
}

/// All columns, in file order: scalars, then arrays.
pub static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(columns);

/// The Arrow schema of the product.
pub static SCHEMA: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(COLUMNS.iter().map(Column::field).collect::<Vec<_>>())));

const FLUX_UNIT: &str = "10**-17.erg.s**-1.cm**-2.Angstrom**-1";
const IVAR_UNIT: &str = "10**34.erg**-2.s**2.cm**4.Angstrom**2";
const LINE_UNIT: &str = "10**-17.erg.s**-1.cm**-2";
const LINE_IVAR_UNIT: &str = "10**34.erg**-2.s**2.cm**4";

type Row = (&'static str, Kind, Origin, &'static str, &'static str, &'static str);

fn columns() -> Vec<Column> {
    let mut all: Vec<Column> = Vec::new();
    all.extend(identity().map(column));
    all.extend(redshift().map(column));
    all.extend(target().map(column));
    all.extend(photometry());
    all.extend(observation().map(column));
    all.extend(lines());
    all.extend(details().map(column));
    all.extend(arrays().map(column));
    all
}

fn column((name, kind, origin, unit, ucd, description): Row) -> Column {
    Column { name: name.to_owned(), kind, origin, unit, ucd, description: description.to_owned() }
}

fn identity() -> [Row; 8] {
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

fn redshift() -> [Row; 10] {
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

fn target() -> [Row; 14] {
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

fn photometry() -> Vec<Column> {
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

fn observation() -> [Row; 20] {
    use Kind::*;
    use Origin::{Fibermap as F, Made as M, Scores as S};
    [
        (
            "coadd_numexp",
            I16,
            F("COADD_NUMEXP"),
            "",
            "meta.number;obs.exposure",
            "Exposures in the coadd",
        ),
        ("coadd_numnight", I16, F("COADD_NUMNIGHT"), "", "meta.number", "Nights in the coadd"),
        (
            "coadd_numtile",
            I16,
            F("COADD_NUMTILE"),
            "",
            "meta.number",
            "Telescope pointings in the coadd",
        ),
        (
            "coadd_exptime",
            F32,
            F("COADD_EXPTIME"),
            "s",
            "time.duration;obs.exposure",
            "Summed exposure time",
        ),
        (
            "tsnr2_bgs",
            F32,
            S("TSNR2_BGS"),
            "",
            "stat.snr",
            "Template signal-to-noise squared for BGS",
        ),
        (
            "tsnr2_elg",
            F32,
            S("TSNR2_ELG"),
            "",
            "stat.snr",
            "Template signal-to-noise squared for ELG",
        ),
        (
            "tsnr2_lrg",
            F32,
            S("TSNR2_LRG"),
            "",
            "stat.snr",
            "Template signal-to-noise squared for LRG",
        ),
        (
            "tsnr2_lya",
            F32,
            S("TSNR2_LYA"),
            "",
            "stat.snr",
            "Template signal-to-noise squared for Lyman-alpha",
        ),
        (
            "tsnr2_qso",
            F32,
            S("TSNR2_QSO"),
            "",
            "stat.snr",
            "Template signal-to-noise squared for QSO",
        ),
        (
            "median_coadd_snr_b",
            F32,
            S("MEDIAN_COADD_SNR_B"),
            "",
            "stat.snr;stat.median",
            "Median signal-to-noise ratio in the B arm",
        ),
        (
            "median_coadd_snr_r",
            F32,
            S("MEDIAN_COADD_SNR_R"),
            "",
            "stat.snr;stat.median",
            "Median signal-to-noise ratio in the R arm",
        ),
        (
            "median_coadd_snr_z",
            F32,
            S("MEDIAN_COADD_SNR_Z"),
            "",
            "stat.snr;stat.median",
            "Median signal-to-noise ratio in the Z arm",
        ),
        (
            "good_pix_b",
            I32,
            M(Made::GoodPix(0)),
            "",
            "meta.number",
            "Kept pixels of the B arm with ivar above 0 and no mask bit",
        ),
        (
            "good_pix_r",
            I32,
            M(Made::GoodPix(1)),
            "",
            "meta.number",
            "Kept pixels of the R arm with ivar above 0 and no mask bit",
        ),
        (
            "good_pix_z",
            I32,
            M(Made::GoodPix(2)),
            "",
            "meta.number",
            "Kept pixels of the Z arm with ivar above 0 and no mask bit",
        ),
        (
            "first_night",
            I32,
            M(Made::FirstNight),
            "",
            "time.start;obs",
            "First night of the target's exposures, YYYYMMDD",
        ),
        (
            "last_night",
            I32,
            M(Made::LastNight),
            "",
            "time.end;obs",
            "Last night of the target's exposures, YYYYMMDD",
        ),
        (
            "min_mjd",
            F64,
            M(Made::MinMjd),
            "d",
            "time.start;obs.exposure",
            "First MJD of the target's exposures",
        ),
        (
            "mean_mjd",
            F64,
            M(Made::MeanMjd),
            "d",
            "time.epoch;stat.mean",
            "Mean MJD of the target's exposures",
        ),
        (
            "max_mjd",
            F64,
            M(Made::MaxMjd),
            "d",
            "time.end;obs.exposure",
            "Last MJD of the target's exposures",
        ),
    ]
}

/// The lines of the emline file, with their wavelengths in vacuum.
const LINES: [(&str, &str); 6] = [
    ("OII", "[O II] 3727, 3730 Å"),
    ("HDELTA", "H-delta 4103 Å"),
    ("HGAMMA", "H-gamma 4342 Å"),
    ("HBETA", "H-beta 4863 Å"),
    ("OIII", "[O III] 4960, 5008 Å"),
    ("HALPHA", "H-alpha 6565 Å"),
];

/// (suffix, unit, UCD, meaning) of what is fitted to each line.
const FITTED: [(&str, &str, &str, &str); 12] = [
    ("FLUX", LINE_UNIT, "phot.flux;spect.line", "flux, corrected for Galactic dust"),
    (
        "FLUX_IVAR",
        LINE_IVAR_UNIT,
        "stat.weight;phot.flux;spect.line",
        "inverse variance of the flux",
    ),
    ("SIGMA", "Angstrom", "spect.line.width", "Gaussian width in the observed frame"),
    ("SIGMA_IVAR", "Angstrom**-2", "stat.weight;spect.line.width", "inverse variance of the width"),
    ("CONT", FLUX_UNIT, "spect.continuum", "continuum at the line"),
    ("CONT_IVAR", IVAR_UNIT, "stat.weight;spect.continuum", "inverse variance of the continuum"),
    ("SHARE", "", "arith.ratio;spect.line", "share of the stronger line of a doublet"),
    (
        "SHARE_IVAR",
        "",
        "stat.weight;arith.ratio",
        "inverse variance of the share; infinite where it was fixed",
    ),
    ("EW", "Angstrom", "spect.line.eqWidth", "equivalent width in the rest frame"),
    (
        "EW_IVAR",
        "Angstrom**-2",
        "stat.weight;spect.line.eqWidth",
        "inverse variance of the equivalent width",
    ),
    ("CHI2", "", "stat.fit.chi2", "misfit as the pipeline writes it (with 1/ivar²: no chi2)"),
    ("NDOF", "", "stat.fit.dof", "degrees of freedom; -99 where nothing was fitted"),
];

fn lines() -> Vec<Column> {
    let mut all = Vec::new();
    for (line, name) in LINES {
        for (key, unit, ucd, meaning) in FITTED {
            all.push(Column {
                name: format!("{line}_{key}").to_ascii_lowercase(),
                kind: if key == "NDOF" { Kind::I32 } else { Kind::F32 },
                origin: Origin::Emline(format!("{line}_{key}")),
                unit,
                ucd,
                description: format!("{name}: {meaning}"),
            });
        }
    }
    all.push(column((
        "has_emline",
        Kind::Bool,
        Origin::Made(Made::HasEmline),
        "",
        "meta.code",
        "Whether the emline file has the target",
    )));
    all
}

fn details() -> [Row; 9] {
    use Kind::*;
    use Origin::Made as M;
    [
        ("z2", F64, M(Made::Z2), "", "src.redshift", "Redshift of the second-best fit"),
        ("chi2_2", F64, M(Made::Chi22), "", "stat.fit.chi2", "chi2 of the second-best fit"),
        (
            "deltachi2_2",
            F64,
            M(Made::Deltachi22),
            "",
            "stat.fit.chi2",
            "chi2 of the third-best minus that of the second-best fit",
        ),
        ("spectype2", Text, M(Made::Spectype2), "", "src.class", "Class of the second-best fit"),
        ("subtype2", Text, M(Made::Subtype2), "", "src.class", "Subclass of the second-best fit"),
        (
            "chi2_galaxy",
            F64,
            M(Made::BestChi2(0)),
            "",
            "stat.fit.chi2;stat.min",
            "Least chi2 of a GALAXY fit",
        ),
        (
            "chi2_qso",
            F64,
            M(Made::BestChi2(1)),
            "",
            "stat.fit.chi2;stat.min",
            "Least chi2 of a QSO fit",
        ),
        (
            "chi2_star",
            F64,
            M(Made::BestChi2(2)),
            "",
            "stat.fit.chi2;stat.min",
            "Least chi2 of a STAR fit",
        ),
        (
            "has_rrdetails",
            Bool,
            M(Made::HasRrdetails),
            "",
            "meta.code",
            "Whether the rrdetails file has the target",
        ),
    ]
}

fn arrays() -> [Row; 4] {
    use Kind::*;
    use Origin::Made as M;
    [
        (
            "wavelength",
            PixelsF64,
            M(Made::Pixels),
            "Angstrom",
            "em.wl",
            "Vacuum wavelength, barycentric; arms stacked B, R, Z with their overlaps kept, so not monotonic",
        ),
        (
            "flux",
            PixelsF32,
            M(Made::Pixels),
            FLUX_UNIT,
            "phot.flux.density;em.wl",
            "Flux density, pixel by pixel of wavelength; 0 where the pipeline's was not finite",
        ),
        (
            "ivar",
            PixelsF32,
            M(Made::Pixels),
            IVAR_UNIT,
            "stat.weight;phot.flux.density",
            "Inverse variance of flux, pixel by pixel; 0 says no data",
        ),
        (
            "mask_array",
            PixelsI32,
            M(Made::Pixels),
            "",
            "meta.code.qual",
            "Mask bits, pixel by pixel; any bit says do not use",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn columns_are_named_once_and_described() {
        let names: HashSet<_> = COLUMNS.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names.len(), COLUMNS.len());
        assert_eq!(COLUMNS[0].name, "_healpix_29");
        for column in COLUMNS.iter() {
            assert!(!column.description.is_empty() && !column.ucd.is_empty(), "{}", column.name);
            let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(column.name.chars().all(snake), "{}", column.name);
        }
        let arrays = COLUMNS.iter().skip_while(|c| !c.kind.is_pixels());
        assert_eq!(arrays.count(), 4, "arrays come last");
    }
}
