//! How many galaxies a sample has by comoving volume, smoothly over redshift.
//!
//! Galaxies and the survey's volume are both counted in fine shells of comoving distance, both are
//! smoothed with the same Gaussian, and the density is their ratio: n(D) = Σ wᵢ K(D−Dᵢ) / ∫ K(D−D′) dV(D′).
//! The volume is cut at the ends of the sample as the galaxies are, so that the density does not fall
//! there.

use crate::cosmology::Cosmology;
use thiserror::Error;

/// Shells to a smoothing length.
const FINE: f64 = 10.0;
/// Smoothing lengths after which the Gaussian is 0.
const REACH: f64 = 5.0;
const MAX_SHELLS: f64 = 1e6;

/// Why there is no density.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum Error {
    /// Arrays of one sample are not equally long.
    #[error("{expected} redshifts, but {found} weights")]
    Length {
        /// Number of redshifts.
        expected: usize,
        /// Number of weights.
        found: usize,
    },
    /// A survey without volume, or one that cannot be divided into shells.
    #[error("survey of {area_sr} sr from redshift {} to {}, smoothed by {width} Mpc, has no volume that can be told: it takes some sky and depth, and smoothing over some Mpc", z[0], z[1])]
    Survey {
        /// Area, steradian.
        area_sr: f64,
        /// First and last redshift.
        z: [f64; 2],
        /// Smoothing length, Mpc.
        width: f64,
    },
}

/// Where a sample's galaxies are from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Survey {
    /// Area, steradian.
    pub area_sr: f64,
    /// First and last redshift of the sample.
    pub z: [f64; 2],
    /// Smoothing length: σ of the Gaussian, comoving Mpc. 50 is longer than structures of galaxies and
    /// shorter than what selection makes.
    pub width: f64,
}

/// A smooth number density.
#[derive(Debug, Clone, PartialEq)]
pub struct Density {
    /// Comoving distances (Mpc) that the sample is between.
    ends: [f64; 2],
    step: f64,
    /// By Mpc³, in the middle of each shell.
    shells: Vec<f64>,
}

impl Density {
    /// The density of galaxies at redshifts z, each counted by its weight (1 if there are no weights).
    /// What is not within the survey's redshifts, or has no positive weight, is not counted.
    ///
    /// # Errors
    /// If the survey has no volume, or there are not as many weights as redshifts.
    pub fn new(
        cosmology: &Cosmology,
        survey: Survey,
        z: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Self, Error> {
        let Survey { area_sr, z: range, width } = survey;
        let ends = range.map(|z| cosmology.distance(z));
        let count = (FINE * (ends[1] - ends[0]) / width).ceil();
        if !(area_sr > 0.0
            && area_sr.is_finite()
            && width > 0.0
            && (1.0..=MAX_SHELLS).contains(&count))
        {
            return Err(Error::Survey { area_sr, z: range, width });
        }
        if let Some(found) = weights.map(<[f64]>::len).filter(|found| *found != z.len()) {
            return Err(Error::Length { expected: z.len(), found });
        }
        let step = (ends[1] - ends[0]) / count;
        let mut galaxies = vec![0.0; count as usize];
        for (row, z) in z.iter().enumerate() {
            let distance = cosmology.distance(*z);
            let weight = weights.map_or(1.0, |weights| weights[row]);
            if (ends[0]..=ends[1]).contains(&distance) && weight > 0.0 && weight.is_finite() {
                let shell = ((distance - ends[0]) / step) as usize;
                galaxies[shell.min(count as usize - 1)] += weight;
            }
        }
        let edge = |shell: usize| ends[0] + shell as f64 * step;
        let volume = |shell| area_sr * (edge(shell + 1).powi(3) - edge(shell).powi(3)) / 3.0;
        let volumes: Vec<f64> = (0..galaxies.len()).map(volume).collect();
        let shells = smooth(&galaxies, step / width);
        let volumes = smooth(&volumes, step / width);
        let shells = shells.iter().zip(volumes).map(|(count, volume)| count / volume).collect();
        Ok(Self { ends, step, shells })
    }

    /// Galaxies by comoving Mpc³ at a comoving distance (Mpc): NaN outside of the sample.
    #[must_use]
    pub fn at(&self, distance: f64) -> f64 {
        if !(self.ends[0]..=self.ends[1]).contains(&distance) {
            return f64::NAN;
        }
        let place = ((distance - self.ends[0]) / self.step - 0.5).max(0.0);
        let last = self.shells.len() - 1;
        let shell = (place as usize).min(last);
        let (low, high) = (self.shells[shell], self.shells[(shell + 1).min(last)]);
        low + (high - low) * (place - shell as f64)
    }
}

/// Values convolved with a Gaussian, whose σ is a step by `step`.
fn smooth(values: &[f64], step: f64) -> Vec<f64> {
    let reach = (REACH / step) as usize;
    let weight = |apart: usize| (-0.5 * (apart as f64 * step).powi(2)).exp();
    let weights: Vec<f64> = (0..=reach).map(weight).collect();
    let around = |middle: usize| {
        let first = middle.saturating_sub(reach);
        let last = (middle + reach).min(values.len() - 1);
        (first..=last).map(|place| weights[place.abs_diff(middle)] * values[place]).sum()
    };
    (0..values.len()).map(around).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const SURVEY: Survey = Survey { area_sr: 2.0, z: [0.05, 0.4], width: 50.0 };

    #[test]
    fn a_uniform_sample_has_its_density_up_to_the_ends() {
        let desi = Cosmology::desi();
        let ends = SURVEY.z.map(|z| desi.distance(z).powi(3));
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        let count = 400_000;
        let place = |_| desi.redshift(dice.random_range(ends[0]..ends[1]).cbrt());
        let mut z: Vec<f64> = (0..count).map(place).collect();
        let expected = f64::from(count) / (SURVEY.area_sr * (ends[1] - ends[0]) / 3.0);
        z.extend([f64::NAN, -1.0, 0.01, 3.0]);
        let density = Density::new(&desi, SURVEY, &z, None).expect("a density");
        let halved = Density::new(&desi, SURVEY, &z, Some(&vec![0.5; z.len()])).expect("a density");
        for z in [0.05, 0.06, 0.1, 0.2, 0.3, 0.39, 0.4] {
            let distance = desi.distance(z);
            // the nearest volumes hold few galaxies
            let tolerance = if z < 0.1 { 0.15 } else { 0.02 };
            assert!((density.at(distance) / expected - 1.0).abs() < tolerance, "z {z}");
            assert!((halved.at(distance) / density.at(distance) - 0.5).abs() < 1e-12);
        }
        assert!(density.at(desi.distance(0.04)).is_nan() && density.at(f64::NAN).is_nan());
    }

    #[test]
    fn surveys_without_volume_are_refused() {
        let desi = Cosmology::desi();
        for survey in [
            Survey { area_sr: 0.0, ..SURVEY },
            Survey { z: [0.4, 0.05], ..SURVEY },
            Survey { z: [0.1, f64::NAN], ..SURVEY },
            Survey { width: 0.0, ..SURVEY },
            Survey { width: 1e-9, ..SURVEY },
        ] {
            assert!(matches!(Density::new(&desi, survey, &[], None), Err(Error::Survey { .. })));
        }
        let weights = Density::new(&desi, SURVEY, &[0.1], Some(&[]));
        assert_eq!(weights, Err(Error::Length { expected: 1, found: 0 }));
        let empty = Density::new(&desi, SURVEY, &[], None).expect("a density");
        assert_eq!(empty.at(desi.distance(0.2)), 0.0);
    }
}
