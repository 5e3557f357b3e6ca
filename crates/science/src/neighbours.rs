//! How near other galaxies are: the surface density within the fifth neighbour, and its distance.
//!
//! Both are exact: the neighbours found are those of all galaxies, compared one by one in f64.

mod search;

#[cfg(test)]
mod tests;

use crate::cosmology::{Cosmology, LIGHT_KM_S, direction};
use crate::kd::{Point, Tree};
use rayon::prelude::*;
use search::nearest;
use std::f64::consts::PI;
use thiserror::Error;

/// Why nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum Error {
    /// Arrays of one sample are not equally long.
    #[error("{expected} galaxies, but {found} values of {of}")]
    Length {
        /// What there are too few or too many of.
        of: &'static str,
        /// Number of galaxies.
        expected: usize,
        /// Number of values.
        found: usize,
    },
    /// More rows than 32 bits can number.
    #[error("{0} rows in one sample: at most 4294967295 are searched at once")]
    TooMany(usize),
    /// A largest difference of velocity that is not positive, or a least usable part not within 0…1.
    #[error("neighbours within {velocity_km_s} km/s, usable from {least_usable} of the area")]
    Recipe {
        /// Largest difference of velocity.
        velocity_km_s: f64,
        /// Least part of the area that has to be usable.
        least_usable: f64,
    },
}

/// Distance of each position's fifth neighbour among the others, in the positions' unit (comoving Mpc):
/// another galaxy in the same place is a neighbour at 0. NaN where there are not five others or a
/// position is not finite.
///
/// # Errors
/// If there are more positions than 32 bits can number.
pub fn dist_5nn(positions: &[[f64; 3]]) -> Result<Vec<f64>, Error> {
    let place = |row: usize| {
        let [x, y, z] = positions[row];
        positions[row].iter().all(|x| x.is_finite()).then_some([x, y, z, 0.0])
    };
    let tree = Tree::new(points(positions.len(), place)?, |_| 1.0);
    let fifth = |point: &Point| (point.row, nearest::<5>(&tree, point, f64::INFINITY)[4].sqrt());
    let mut found = vec![f64::NAN; positions.len()];
    for (row, distance) in tree.points.par_iter().map(fifth).collect::<Vec<_>>() {
        found[row as usize] = if distance.is_finite() { distance } else { f64::NAN };
    }
    Ok(found)
}

/// A sample in redshift space, an entry per galaxy in each array.
#[derive(Clone, Copy, Debug)]
pub struct Galaxies<'a> {
    /// Right ascension, degrees.
    pub ra_deg: &'a [f64],
    /// Declination, degrees.
    pub dec_deg: &'a [f64],
    /// Redshift.
    pub z: &'a [f64],
    /// Whether it counts as a neighbour: whether it is of the volume-limited population.
    pub is_tracer: &'a [bool],
    /// The part of targets around it that have a redshift, over 0 to 1: one for all, or one for each.
    pub completeness: &'a [f64],
}

/// What is known of the survey's edges on the sky.
#[derive(Clone, Copy)]
pub enum Edge<'a> {
    /// There are none.
    None,
    /// Angle (radian) of each galaxy to the nearest edge: a circle that goes beyond it is not known.
    Angle(&'a [f64]),
    /// What part (0 to 1) of the circle about a row with a radius (radian) is in the survey, from random
    /// points or a mask: densities are of that part.
    Usable(&'a (dyn Fn(usize, f64) -> f64 + Sync)),
}

/// What Σ₅ is measured with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Neighbours differ by less than this in velocity, c|Δz|/(1+z): 1000 km/s by default.
    pub velocity_km_s: f64,
    /// Redshifts that tracers are between: where the differences reach beyond, Σ₅ is not known. All by
    /// default.
    pub z: [f64; 2],
    /// Least part of the circle that has to be in the survey: ½ by default.
    pub least_usable: f64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self { velocity_km_s: 1000.0, z: [f64::NEG_INFINITY, f64::INFINITY], least_usable: 0.5 }
    }
}

/// Why a Σ₅ is not known, or its error: bits of [`Sigma::flag`].
pub mod flag {
    /// No place on the sky, no positive redshift that has a distance, or no completeness over 0 to 1.
    pub const NO_PLACE: u8 = 1;
    /// Fewer than five neighbours.
    pub const FEW: u8 = 2;
    /// The circle to the fifth neighbour reaches beyond the survey.
    pub const EDGE: u8 = 4;
    /// The differences of velocity reach beyond the tracers' redshifts.
    pub const DEPTH: u8 = 8;
    /// All five neighbours are at its own place on the sky.
    pub const TOGETHER: u8 = 16;
    /// Σ₅ is known, but not its error: for one of these reasons, Σ₄ or Σ₆ is not.
    pub const NO_ERROR: u8 = 32;
}

/// Surface densities, an entry per galaxy in each array.
#[derive(Clone, Debug, PartialEq)]
pub struct Sigma {
    /// Σ₅, galaxies by comoving Mpc²: NaN where it is not known.
    pub sigma_5: Vec<f64>,
    /// max(|Σ₅−Σ₄|, |Σ₅−Σ₆|): NaN where it is not known.
    pub error: Vec<f64>,
    /// Projected distance of the fifth neighbour, comoving Mpc: NaN where there is none.
    pub radius: Vec<f64>,
    /// Why something is not known: bits of [`flag`], 0 if all is.
    pub flag: Vec<u8>,
}

/// Σ₅ = 5/(π d₅²) of each galaxy, d₅ = D θ₅ with its own comoving distance D (Mpc) and the angle θ₅ to
/// its fifth nearest tracer, itself left out, among those that differ by less than the recipe's velocity
/// (Brough et al. 2013, arXiv:1309.2490). Σₙ is divided by the completeness and by the usable part of
/// its circle.
///
/// # Errors
/// If arrays differ in length, or the recipe is none.
pub fn sigma_5(
    cosmology: &Cosmology,
    galaxies: Galaxies<'_>,
    edge: Edge<'_>,
    recipe: Recipe,
) -> Result<Sigma, Error> {
    let Galaxies { ra_deg, dec_deg, z, is_tracer, completeness } = galaxies;
    check(galaxies, edge)?;
    let Recipe { velocity_km_s, least_usable, .. } = recipe;
    if !(velocity_km_s > 0.0 && (0.0..=1.0).contains(&least_usable)) {
        return Err(Error::Recipe { velocity_km_s, least_usable });
    }
    let place = |row: usize| {
        let [x, y, height] = direction(ra_deg[row], dec_deg[row]);
        let is_placed = z[row] > 0.0 && cosmology.distance(z[row]).is_finite() && x.is_finite();
        is_placed.then_some([x, y, height, z[row]])
    };
    let window = |z: f64| velocity_km_s / LIGHT_KM_S * (1.0 + z);
    // circles are some Mpc wide, whatever their depth
    let scale = |row: u32| {
        let z = z[row as usize];
        2.0 / cosmology.distance(z) / window(z)
    };
    let all = points(z.len(), place)?;
    let (tracers, others): (Vec<Point>, Vec<Point>) =
        all.into_iter().partition(|point| is_tracer[point.row as usize]);
    let tree = Tree::new(tracers, scale);
    let circles = Circles { edge, recipe };
    let measure = |point: &Point| {
        let row = point.row as usize;
        let complete = completeness[if completeness.len() == 1 { 0 } else { row }];
        let near = nearest::<6>(&tree, point, window(z[row]));
        let one = circles.measure(row, &near, cosmology.distance(z[row]), complete);
        let [low, high] = [-1.0, 1.0].map(|side| z[row] + side * window(z[row]));
        (row, if low < recipe.z[0] || high > recipe.z[1] { one.without(flag::DEPTH) } else { one })
    };
    let measured: Vec<(usize, One)> = tree.points.par_iter().chain(&others).map(measure).collect();
    let none = vec![f64::NAN; z.len()];
    let flags = vec![flag::NO_PLACE; z.len()];
    let mut made = Sigma { sigma_5: none.clone(), error: none.clone(), radius: none, flag: flags };
    for (row, one) in measured {
        made.sigma_5[row] = one.sigma;
        made.error[row] = one.error;
        made.radius[row] = one.radius;
        made.flag[row] = one.flag;
    }
    Ok(made)
}

fn check(galaxies: Galaxies<'_>, edge: Edge<'_>) -> Result<(), Error> {
    let expected = galaxies.ra_deg.len();
    let completeness = match galaxies.completeness.len() {
        1 => expected,
        count => count,
    };
    let edge = if let Edge::Angle(angles) = edge { angles.len() } else { expected };
    for (of, found) in [
        ("declination", galaxies.dec_deg.len()),
        ("redshift", galaxies.z.len()),
        ("tracer", galaxies.is_tracer.len()),
        ("completeness", completeness),
        ("edge", edge),
    ] {
        if found != expected {
            return Err(Error::Length { of, expected, found });
        }
    }
    Ok(())
}

/// The points of rows that have a place.
fn points(
    rows: usize,
    place: impl Fn(usize) -> Option<[f64; 4]> + Sync,
) -> Result<Vec<Point>, Error> {
    let count = u32::try_from(rows).map_err(|_| Error::TooMany(rows))?;
    let point = |row| Some(Point { at: place(row as usize)?, row });
    Ok((0..count).into_par_iter().filter_map(point).collect())
}

/// How circles about galaxies are turned into densities.
struct Circles<'a> {
    edge: Edge<'a>,
    recipe: Recipe,
}

/// What is measured of one galaxy.
struct One {
    sigma: f64,
    error: f64,
    radius: f64,
    flag: u8,
}

impl One {
    /// The same, with nothing known but the radius.
    fn without(self, why: u8) -> Self {
        Self { sigma: f64::NAN, error: f64::NAN, flag: (self.flag | why) & !flag::NO_ERROR, ..self }
    }
}

impl Circles<'_> {
    /// `near`: squared chords of the six nearest, infinite where there is none.
    fn measure(&self, row: usize, near: &[f64; 6], distance: f64, complete: f64) -> One {
        let angles = near.map(|chord| 2.0 * (0.5 * chord.sqrt()).min(1.0).asin());
        let is_there = near.map(f64::is_finite);
        let radius = if is_there[4] { angles[4] * distance } else { f64::NAN };
        let none = One { sigma: f64::NAN, error: f64::NAN, radius, flag: 0 };
        if !(complete > 0.0 && complete <= 1.0) {
            return none.without(flag::NO_PLACE);
        }
        let density = |n: usize| {
            let angle = angles[n - 1];
            if !is_there[n - 1] {
                return Err(flag::FEW);
            }
            if angle <= 0.0 {
                return Err(flag::TOGETHER);
            }
            let usable = self.usable(row, angle).ok_or(flag::EDGE)?;
            Ok(n as f64 / (PI * (angle * distance).powi(2) * complete * usable))
        };
        let sigma = match density(5) {
            Ok(sigma) => sigma,
            Err(why) => return none.without(why),
        };
        match (density(4), density(6)) {
            (Ok(fewer), Ok(more)) => {
                One { sigma, error: (sigma - fewer).abs().max((sigma - more).abs()), ..none }
            }
            _ => One { sigma, flag: flag::NO_ERROR, ..none },
        }
    }

    /// The part of a circle that is in the survey, if it is enough.
    fn usable(&self, row: usize, angle: f64) -> Option<f64> {
        let part = match self.edge {
            Edge::None => 1.0,
            Edge::Angle(angles) => f64::from(u8::from(angle <= angles[row])),
            Edge::Usable(part) => part(row, angle),
        };
        (part > 0.0 && part >= self.recipe.least_usable && part <= 1.0).then_some(part)
    }
}
