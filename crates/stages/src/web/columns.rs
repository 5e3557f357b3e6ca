//! The product `environment`: what the web is like at each galaxy.

use super::Web;
use crate::stage::{About, Source, column};
use crate::survey::{Given, READS, Sample};
use arrow::array::{ArrayRef, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array};
use arrow::datatypes::DataType::{Boolean, Float32, Float64, Int8, Int16};
use arrow::error::ArrowError;
use serde_json::Value;
use std::sync::Arc;

/// Name of the stage and of its product.
const NAME: &str = "environment";

/// Bits of `environment_flag` above those of [`neighbours::flag`].
mod flag {
    /// The sample has too few galaxies for a mesh, or the galaxy is on its hull.
    pub const NO_DENSITY: i16 = 64;
    /// The sample has no filaments, or no peaks.
    pub const NO_FILAMENT: i16 = 128;
    /// The sample has fewer than six galaxies.
    pub const NO_FIFTH: i16 = 256;
    /// The galaxy was in no mesh with random points.
    pub const NO_CLASS: i16 = 512;
}

/// What the stage says of itself.
#[must_use]
pub fn about() -> About {
    let chance =
        |class: &str| format!("Part of the realisations in which the galaxy was in a {class}");
    let columns = vec![
        column(
            "density_dtfe",
            Float64,
            "Mpc**-3",
            "phys.density",
            "Number density of galaxies at the galaxy (comoving, DTFE); NULL at the hull of the sample",
        ),
        column(
            "dist_filament",
            Float64,
            "Mpc",
            "pos.distance",
            "Comoving distance to the nearest filament",
        ),
        column(
            "dist_node",
            Float64,
            "Mpc",
            "pos.distance",
            "Comoving distance to the nearest peak of density that filaments lead to",
        ),
        column(
            "sigma_5",
            Float64,
            "Mpc**-2",
            "phys.density",
            "Surface density of galaxies within the fifth nearest in projection and 1000 km/s (comoving), of the part of the circle in the survey; NULL where less than half is, or 1000 km/s reach beyond the sample's redshifts or the population's depth",
        ),
        column(
            "sigma_5_error",
            Float64,
            "Mpc**-2",
            "stat.error;phys.density",
            "Error of sigma_5: the greater difference to the densities within the fourth and the sixth",
        ),
        column(
            "dist_5nn",
            Float64,
            "Mpc",
            "pos.distance",
            "Comoving distance to the fifth nearest galaxy",
        ),
        column(
            "web_class",
            Int8,
            "",
            "meta.code.class",
            "Part of the cosmic web by ASTRA: 0 void, 1 sheet, 2 filament, 3 knot",
        ),
        column("web_p_void", Float32, "", "stat.probability", chance("void")),
        column("web_p_sheet", Float32, "", "stat.probability", chance("sheet")),
        column("web_p_filament", Float32, "", "stat.probability", chance("filament")),
        column("web_p_knot", Float32, "", "stat.probability", chance("knot")),
        column(
            "is_boundary",
            Boolean,
            "",
            "meta.code",
            "Whether the end of the sample is so near that density, filaments and class are not to be trusted; NULL where the galaxy was not looked at",
        ),
        column(
            "environment_flag",
            Int16,
            "",
            "meta.code.qual",
            "Why something is NULL, bits: for sigma_5 1 no completeness, 2 fewer than five neighbours, 4 the circle is beyond the survey, 8 the velocities reach beyond the sample's redshifts or the population's depth, 16 all five are in one place, 32 only its error is not known; 64 no density: on the hull, or too few galaxies; 128 no filaments or peaks in the sample; 256 no fifth neighbour; 512 no class; 0 all is known; NULL where the galaxy was not looked at",
        ),
    ];
    About {
        name: NAME,
        version: 3,
        from: Source::Product("spectra", &READS),
        product: NAME,
        columns,
    }
}

/// The stage that writes what was found of samples.
///
/// # Errors
/// Where the columns do not fit the samples.
pub fn stage(configuration: Value, found: &[(&Sample, &Web)]) -> Result<Given, ArrowError> {
    let parts: Vec<_> = found.iter().map(|(sample, web)| (*sample, columns(web))).collect();
    Given::new(about(), configuration, &parts)
}

fn columns(web: &Web) -> Vec<ArrayRef> {
    let floats = |values: &[f64]| -> ArrayRef {
        Arc::new(values.iter().map(|x| x.is_finite().then_some(*x)).collect::<Float64Array>())
    };
    let chances: Vec<_> = web.class.iter().map(|class| class.probabilities()).collect();
    let chance = |class: usize| -> ArrayRef {
        let of = |chances: &Option<[f64; 4]>| Some(chances.as_ref()?.get(class).copied()? as f32);
        Arc::new(chances.iter().map(of).collect::<Float32Array>())
    };
    let classes = web.class.iter().map(|class| class.class().map(|class| class as i8));
    vec![
        floats(&web.density),
        floats(&web.dist_filament),
        floats(&web.dist_node),
        floats(&web.sigma_5),
        floats(&web.sigma_5_error),
        floats(&web.dist_5nn),
        Arc::new(classes.collect::<Int8Array>()),
        chance(0),
        chance(1),
        chance(2),
        chance(3),
        Arc::new(BooleanArray::from(web.is_boundary.clone())),
        Arc::new((0..web.positions.len()).map(|row| flags(web, row)).collect::<Int16Array>()),
    ]
}

/// Why something of a galaxy is not known.
fn flags(web: &Web, row: usize) -> i16 {
    let is_known = |values: &[f64]| values.get(row).is_some_and(|value| value.is_finite());
    let has_class = web.class.get(row).is_some_and(|class| class.class().is_some());
    let missing = [
        (flag::NO_DENSITY, !is_known(&web.density)),
        (flag::NO_FILAMENT, !(is_known(&web.dist_filament) && is_known(&web.dist_node))),
        (flag::NO_FIFTH, !is_known(&web.dist_5nn)),
        (flag::NO_CLASS, !has_class),
    ];
    let of_sigma = web.sigma_5_flag.get(row).copied().map_or(0, i16::from);
    missing.iter().filter(|(_, is)| *is).fold(of_sigma, |flags, (bit, _)| flags | bit)
}
