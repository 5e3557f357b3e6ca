//! What a row says of its spectrum: observation, emission lines, details of the fits, arrays.

use super::{Column, Kind, Made, Origin, Row, column};
use bifrost_core::spectrum::{COLUMNS, FLUX_UNIT, IVAR_UNIT};

const LINE_UNIT: &str = "10**-17.erg.s**-1.cm**-2";
const LINE_IVAR_UNIT: &str = "10**34.erg**-2.s**2.cm**4";

pub(super) fn observation() -> [Row; 20] {
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
    ("CONT", FLUX_UNIT, "phot.flux.density;spect.continuum", "continuum at the line"),
    ("CONT_IVAR", IVAR_UNIT, "stat.weight;spect.continuum", "inverse variance of the continuum"),
    ("SHARE", "", "phot.flux;arith.ratio", "share of the stronger line of a doublet"),
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
    ("NDOF", "", "stat.fit.dof", "degrees of freedom; NULL where nothing was fitted"),
];

pub(super) fn lines() -> Vec<Column> {
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

pub(super) fn details() -> [Row; 9] {
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

pub(super) fn arrays() -> [Row; 4] {
    use Kind::*;
    let mut kinds = [PixelsF64, PixelsF32, PixelsF32, PixelsI32].into_iter();
    COLUMNS.map(|[name, unit, ucd, meaning]| {
        let kind = kinds.next().unwrap_or(PixelsF32);
        (name, kind, Origin::Made(Made::Pixels), unit, ucd, meaning)
    })
}

/// Where the arrays of a row are that has none.
pub(super) fn places() -> [Row; 4] {
    use Kind::*;
    use Origin::Made as M;
    [
        (
            "array_file",
            Text,
            M(Made::Place),
            "",
            "meta.ref;meta.file",
            "Spectra store that holds the arrays of the row: HDF5, relative to the lake",
        ),
        (
            "array_group",
            Text,
            M(Made::Place),
            "",
            "meta.ref",
            "Group in the spectra store: flux, ivar and mask by rows, wavelength once",
        ),
        ("array_row", I32, M(Made::Place), "", "meta.record", "Row in the group, from 0"),
        (
            "array_hash",
            I64,
            M(Made::Place),
            "",
            "meta.checksum",
            "First 8 bytes of the BLAKE3 of the row's flux, ivar and mask, one after the other",
        ),
    ]
}
