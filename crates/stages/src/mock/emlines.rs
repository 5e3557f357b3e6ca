//! The emission-line fits of a tile: fluxes as the spectra were made with them, plus noise.

use super::Object;
use super::dice::{Dice, Purpose, Seed};
use super::spectra::{self, NARROW_LINES, line_flux, line_sigma_angstrom};
use super::tables::objtype;
use crate::fits::write::{Column, Header, Table};

/// A fitted line or doublet.
struct Feature {
    name: &'static str,
    /// Which of [`NARROW_LINES`] it is made of.
    lines: std::ops::Range<usize>,
    /// Share of the redder line of a doublet, and that share's inverse variance.
    share: [f32; 2],
}

const NO_SHARE: [f32; 2] = [f32::NAN; 2];
/// The fitted features, in the file's order.
const FEATURES: [Feature; 6] = [
    Feature { name: "OII", lines: 0..2, share: [0.577, 350.0] },
    Feature { name: "HDELTA", lines: 2..3, share: NO_SHARE },
    Feature { name: "HGAMMA", lines: 3..4, share: NO_SHARE },
    Feature { name: "HBETA", lines: 4..5, share: NO_SHARE },
    // the ratio of this doublet is fixed: the pipeline states infinite precision
    Feature { name: "OIII", lines: 5..7, share: [0.749, f32::INFINITY] },
    Feature { name: "HALPHA", lines: 8..9, share: NO_SHARE },
];
/// Columns of a feature that hold real numbers.
const KEYS: [&str; 11] = [
    "FLUX",
    "FLUX_IVAR",
    "SIGMA",
    "SIGMA_IVAR",
    "CONT",
    "CONT_IVAR",
    "SHARE",
    "SHARE_IVAR",
    "EW",
    "EW_IVAR",
    "CHI2",
];
/// Half of the rest-frame range that a line is fitted in, at least and usually.
const RANGE_ANGSTROM: [f64; 2] = [20.0, 40.0];
const SPECTRUM_ANGSTROM: std::ops::Range<f64> = 3600.0..9824.0;
/// Degrees of freedom where nothing was fitted.
const NOT_FITTED: i32 = -99;

/// The fit of one feature: the columns of [`KEYS`], and the degrees of freedom.
#[derive(Clone, Copy)]
struct LineFit {
    values: [f32; KEYS.len()],
    freedom: i32,
}

/// `EMLINEFIT`: 345 bytes a row. `rows` are places in `objects`.
pub fn table(seed: Seed, objects: &[Object], rows: &[usize], cards: Header) -> Table {
    let picked: Vec<&Object> = rows.iter().map(|row| &objects[*row]).collect();
    let fits: Vec<Vec<LineFit>> = rows
        .iter()
        .map(|row| {
            let mut dice = seed.dice(Purpose::Lines, *row);
            FEATURES.iter().map(|feature| fit(&objects[*row], feature, &mut dice)).collect()
        })
        .collect();
    let mut columns = vec![
        Column::new("TARGETID", "", picked.iter().map(|o| o.target.target_id)),
        Column::new("Z", "", picked.iter().map(|o| o.fit.z)),
        Column::new("ZWARN", "", picked.iter().map(|o| o.fit.warnings)),
        Column::text("SPECTYPE", 6, picked.iter().map(|o| o.fit.family.name())),
        Column::new("DELTACHI2", "", picked.iter().map(|o| o.fit.delta_chi2)),
        Column::new("TARGET_RA", "", picked.iter().map(|o| o.target.ra_deg)),
        Column::new("TARGET_DEC", "", picked.iter().map(|o| o.target.dec_deg)),
        Column::text("OBJTYPE", 3, picked.iter().map(|o| objtype(o))),
    ];
    for (place, Feature { name, .. }) in FEATURES.iter().enumerate() {
        columns.extend(KEYS.iter().enumerate().map(|(key, word)| {
            Column::new(format!("{name}_{word}"), "", fits.iter().map(|f| f[place].values[key]))
        }));
        let freedom = fits.iter().map(|f| f[place].freedom);
        columns.push(Column::new(format!("{name}_NDOF"), "", freedom));
    }
    Table::new("EMLINEFIT", rows.len(), columns, cards)
}

fn fit(object: &Object, feature: &Feature, dice: &mut Dice) -> LineFit {
    let target = &object.target;
    let lines = &NARROW_LINES[feature.lines.clone()];
    let rest = lines.iter().map(|l| l.rest_angstrom).sum::<f64>() / lines.len() as f64;
    let stretch = 1.0 + object.fit.z;
    let observed = rest * stretch;
    let [least, usual] = RANGE_ANGSTROM;
    let error = dice.lognormal(0.9, 0.3);
    let flux = lines.iter().map(|l| line_flux(target, l)).sum::<f64>() + dice.normal(0.0, error);
    let mut under = [0f32];
    spectra::continuum(target, &[observed], &mut under);
    let continuum = f64::from(under[0]) + dice.normal(0.0, 0.02);
    let chi2 = dice.lognormal(1.0, 0.1);
    let is_inside = observed - least * stretch > SPECTRUM_ANGSTROM.start
        && observed + least * stretch < SPECTRUM_ANGSTROM.end;
    if !is_inside || object.fit.pixel_count == 0 {
        return LineFit { values: [f32::NAN; KEYS.len()], freedom: NOT_FITTED };
    }
    let per_width = 1.0 / (stretch * continuum);
    let values = [
        flux,
        error.powi(-2),
        line_sigma_angstrom(target, observed),
        40.0,
        continuum,
        25.0,
        f64::from(feature.share[0]),
        f64::from(feature.share[1]),
        flux * per_width,
        (error * per_width).powi(-2),
        chi2,
    ];
    let pixels = (2.0 * usual * stretch / super::arms::STEP_ANGSTROM) as i32;
    LineFit { values: values.map(|v| v as f32), freedom: pixels - 3 }
}

/// The cards that say how the lines were fitted.
pub fn cards(stem: &str) -> Header {
    let mut cards = Header::default();
    cards
        .text("RRFN", &format!("redrock-{stem}.fits"), "")
        .text("COADDFN", &format!("coadd-{stem}.fits"), "")
        .int("RFHW", RANGE_ANGSTROM[1] as i64, "")
        .int("MINRFHW", RANGE_ANGSTROM[0] as i64, "")
        .int("RFCONTW", 200, "")
        .real("RV", 3.1, "")
        .text("EMNAMES", &FEATURES.map(|f| f.name).join(","), "");
    for (i, feature) in FEATURES.iter().enumerate() {
        let lines = &NARROW_LINES[feature.lines.clone()];
        let waves: Vec<String> = lines.iter().map(|l| format!("{:?}", l.rest_angstrom)).collect();
        cards.text(&format!("RFWAVE{i:02}"), &waves.join(","), "");
    }
    cards
}
