//! Plausible results of the redshift fit for targets whose true redshift is known.

use super::Object;
use super::dice::{Purpose, Seed};
use super::edges::{Edge, Edges};
use super::exposures::{Observation, fiber};
use super::spectra::nanomaggies;
use super::targets::{Class, StarType, Target};

/// Bits of `ZWARN`.
mod warning {
    pub(super) const SKY: i64 = 1;
    pub(super) const LITTLE_COVERAGE: i64 = 1 << 1;
    pub(super) const SMALL_DELTA_CHI2: i64 = 1 << 2;
    pub(super) const Z_FITLIMIT: i64 = 1 << 5;
    pub(super) const NODATA: i64 = 1 << 9;
    pub(super) const BAD_MINFIT: i64 = 1 << 10;
    pub(super) const POORDATA: i64 = 1 << 11;
}

/// Below this difference the two best fits cannot be told apart.
pub(super) const SMALL_DELTA_CHI2: f64 = 9.0;
/// Where a fit without data ends up.
const Z_WITHOUT_DATA: f64 = -0.00499744;

/// A family of templates, which is what the pipeline calls spectral type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// GALAXY
    Galaxy,
    /// QSO
    Quasar,
    /// STAR
    Star,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 3] = [Self::Galaxy, Self::Quasar, Self::Star];

    /// The pipeline's `SPECTYPE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Galaxy => "GALAXY",
            Self::Quasar => "QSO",
            Self::Star => "STAR",
        }
    }
}

/// Coefficients of a fit, at most.
pub const COEFFICIENTS: usize = 10;

/// The best fit of a target.
#[derive(Debug, Clone)]
pub struct Fit {
    /// Redshift.
    pub z: f64,
    /// Its error.
    pub z_error: f64,
    /// `ZWARN` bits.
    pub warnings: i64,
    /// χ² of the fit.
    pub chi2: f64,
    /// χ² that the next best fit is worse by.
    pub delta_chi2: f64,
    /// Template coefficients; unused ones are 0.
    pub coefficients: [f64; COEFFICIENTS],
    /// Coefficients used.
    pub coefficient_count: i64,
    /// Pixels that were fitted.
    pub pixel_count: usize,
    /// Template family.
    pub family: Family,
    /// Template within the family.
    pub subtype: &'static str,
}

/// Quasars are fitted with the low-redshift template below this.
const LOZ_BELOW: f64 = 1.5;

/// Template and coefficient count for a family at a redshift; `star` is the type of a star.
#[must_use]
pub fn subtype_of(family: Family, z: f64, star: StarType) -> (&'static str, i64) {
    match family {
        Family::Galaxy => ("", 10),
        Family::Quasar => (if z < LOZ_BELOW { "LOZ" } else { "HIZ" }, 4),
        Family::Star => (star.name(), if star == StarType::Cv { 3 } else { 5 }),
    }
}

/// Fits one row of a tile that has its scores.
pub fn fit(seed: Seed, row: usize, object: &Object, edges: &Edges) -> Fit {
    let Object { target, observation, scores, .. } = object;
    let pixel_count = scores.iter().map(|s| s.good_pixels).sum();
    let mut dice = seed.dice(Purpose::Fit, row);
    let (family, star, typical_error) = match target.class {
        Class::Quasar => (Family::Quasar, StarType::A, 3e-4),
        Class::Star(kind) => (Family::Star, kind, 8e-6),
        _ => (Family::Galaxy, StarType::A, 4e-5),
    };
    let z_error = typical_error * dice.lognormal(1.0, 0.5);
    // blank sky is fitted as something arbitrary
    let anything = dice.uniform(0.05, 1.69);
    let miss = dice.normal(0.0, z_error);
    let z = match target.class {
        Class::Sky => anything,
        _ => target.z + miss,
    };
    let (subtype, coefficient_count) = subtype_of(family, target.z, star);
    let coefficients = std::array::from_fn(|i| match dice.normal(0.0, 30.0) {
        _ if i as i64 >= coefficient_count => 0.0,
        draw if i == 0 => draw.abs() + 50.0,
        draw => draw,
    });
    let chi2 = pixel_count as f64 * dice.normal(1.02, 0.03);
    let strength = 900.0 * nanomaggies(target.r_mag + 2.0) * dice.lognormal(1.0, 0.9);
    let delta_chi2 = if target.class.is_object() { strength } else { dice.gamma(2, 4.0) };
    let fit = Fit {
        z,
        z_error,
        warnings: 0,
        chi2,
        delta_chi2,
        coefficients,
        coefficient_count,
        pixel_count,
        family,
        subtype,
    };
    let fit = if pixel_count == 0 { without_data() } else { fit };
    let warnings = warnings(&fit, target, observation, edges);
    Fit { warnings, ..fit }
}

/// What the pipeline states of a row without data.
pub fn without_data() -> Fit {
    Fit {
        z: Z_WITHOUT_DATA,
        z_error: 0.0,
        warnings: 0,
        chi2: 0.0,
        delta_chi2: 0.0,
        coefficients: [0.0; COEFFICIENTS],
        coefficient_count: 10,
        pixel_count: 0,
        family: Family::Galaxy,
        subtype: "",
    }
}

fn warnings(fit: &Fit, target: &Target, observation: &Observation, edges: &Edges) -> i64 {
    let [b, r, z] = fiber::BADAMP;
    let has = |bits: i32| observation.status & bits != 0;
    let is_sparse = (fit.pixel_count as i64) < 10 * fit.coefficient_count;
    let rules = [
        (fit.delta_chi2 < SMALL_DELTA_CHI2, warning::SMALL_DELTA_CHI2),
        (edges.has(Edge::NoGood), warning::SMALL_DELTA_CHI2),
        (is_sparse || has(b | r | z), warning::LITTLE_COVERAGE),
        (target.class == Class::Sky, warning::SKY),
        (has(fiber::POORPOSITION), warning::POORDATA),
        (has(fiber::UNASSIGNED | fiber::BADPOSITION), warning::NODATA),
        (
            fit.pixel_count == 0,
            warning::NODATA | warning::LITTLE_COVERAGE | warning::Z_FITLIMIT | warning::BAD_MINFIT,
        ),
    ];
    rules.iter().filter(|(applies, _)| *applies).map(|(_, bits)| bits).fold(0, |all, b| all | b)
}
