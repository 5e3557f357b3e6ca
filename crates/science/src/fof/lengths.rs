//! Linking lengths of galaxies, as Robotham et al. (2011, arXiv:1106.1994) and Nessie define them.

use super::Error;
use crate::cosmology::{Cosmology, LIGHT_KM_S};
use rayon::prelude::*;
use std::f64::consts::PI;

/// Newton's constant, Mpc (km/s)² by solar mass.
const NEWTON: f64 = 4.300_917_270e-9;
/// Mean density of a halo by the critical one.
const CONTRAST: f64 = 200.0;

/// What linking lengths are made with. b0 and r0 were tuned for GAMA; other samples want their own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Linking length on the sky by the mean separation of galaxies: 0.05 by default.
    pub b0: f64,
    /// How much longer links are along the line of sight, at redshift 0: 18 by default.
    pub r0: f64,
    /// No link is longer than the virial radius of a halo of this mass (200 times the critical density,
    /// comoving), nor, along the line of sight, than its velocity √(2GM/R) makes it, which is the cap of
    /// Nessie. Solar masses, 10¹⁵ by default; infinity for no cap.
    pub largest_halo: f64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self { b0: 0.05, r0: 18.0, largest_halo: 1e15 }
    }
}

/// Linking lengths, an entry per galaxy.
#[derive(Clone, Debug, PartialEq)]
pub struct Lengths {
    /// On the sky: chords on the unit sphere.
    pub across: Vec<f64>,
    /// Along the line of sight, comoving Mpc.
    pub along: Vec<f64>,
}

impl Recipe {
    /// Linking lengths at redshifts z, where `density` is the sample's mean number of galaxies by
    /// comoving Mpc³ (not h³/Mpc³) at each and `completeness` the part of targets around it that have a
    /// redshift (one value for all, or one for each).
    ///
    /// g = b₀ (ρ c)^(−1/3) Mpc, at most the virial radius; across = g/D; along = g r₀ (1+z)/E(z), at
    /// most v (1+z)/H(z). NaN, so that a galaxy is linked to none, where z is not positive or a density
    /// or completeness is not a positive number.
    ///
    /// # Errors
    /// If the arrays differ in length.
    pub fn lengths(
        &self,
        cosmology: &Cosmology,
        z: &[f64],
        density: &[f64],
        completeness: &[f64],
    ) -> Result<Lengths, Error> {
        let expected = z.len();
        if density.len() != expected {
            return Err(Error::Length { of: "density", expected, found: density.len() });
        }
        if completeness.len() != expected && completeness.len() != 1 {
            return Err(Error::Length { of: "completeness", expected, found: completeness.len() });
        }
        let one = |row: usize| {
            let complete =
                if completeness.len() == 1 { completeness[0] } else { completeness[row] };
            self.length(cosmology, z[row], density[row] * complete)
        };
        let (across, along) = (0..expected).into_par_iter().map(one).unzip();
        Ok(Lengths { across, along })
    }

    /// Both lengths of a galaxy where so many galaxies by Mpc³ are seen.
    fn length(&self, cosmology: &Cosmology, z: f64, density: f64) -> (f64, f64) {
        let [distance, slope] = cosmology.at(z);
        if !(z > 0.0 && density > 0.0 && density.is_finite()) {
            return (f64::NAN, f64::NAN);
        }
        let hubble = LIGHT_KM_S / slope;
        let expansion = cosmology.hubble_distance() / slope;
        let [radius, velocity] = halo(self.largest_halo, z, hubble);
        let length = (self.b0 * density.cbrt().recip()).min(radius);
        let along = length * self.r0 * (1.0 + z) / expansion;
        (length / distance, along.min(velocity * (1.0 + z) / hubble))
    }
}

/// Comoving virial radius (Mpc) and velocity velocity (km/s) of a halo, at an expansion rate (km/s/Mpc).
fn halo(mass: f64, z: f64, hubble: f64) -> [f64; 2] {
    let critical = 3.0 * hubble * hubble / (8.0 * PI * NEWTON);
    let radius = (0.75 * mass / (PI * CONTRAST * critical)).cbrt() * (1.0 + z);
    let velocity = (mass * (32.0 * PI * NEWTON.powi(3) * CONTRAST * critical / 3.0).sqrt()).cbrt();
    [radius, velocity]
}
