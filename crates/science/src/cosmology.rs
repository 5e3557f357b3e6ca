//! Redshifts as comoving distances and positions, in flat ΛCDM.
//!
//! One set of constants is the default everywhere: [`Cosmology::desi`], the fiducial cosmology of DESI
//! (AbacusSummit c000: the base ΛCDM of Planck 2018, arXiv:1807.06209, with radiation and one neutrino
//! of 0.06 eV). Distances are Mpc, never Mpc/h.

use rayon::prelude::*;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Speed of light, km/s.
pub const LIGHT_KM_S: f64 = 299_792.458;
/// Largest redshift that has a distance here.
pub const Z_MAX: f64 = 20.0;
/// Redshift from node to node of the table: cubic interpolation is then good to 1e-9 of the distance.
const STEP: f64 = 1.0 / 512.0;
const STEPS: usize = 10_240;

/// Why there is no cosmology, or no positions.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum Error {
    /// h is not a positive number, or `omega_m` not within 0…1.
    #[error("flat cosmology with h {h} and omega_m {omega_m}")]
    Parameters {
        /// H₀ / (100 km/s/Mpc).
        h: f64,
        /// Matter today, as a part of the critical density.
        omega_m: f64,
    },
    /// Arrays of one sample are not equally long.
    #[error("{expected} galaxies, but {found} values in another array")]
    Length {
        /// Length of the first array.
        expected: usize,
        /// Length of the array that differs.
        found: usize,
    },
}

/// A flat ΛCDM cosmology and its table of distances.
#[derive(Debug, Clone)]
pub struct Cosmology {
    h: f64,
    /// Densities today by the critical one: cold matter, radiation, massive neutrinos.
    cold: f64,
    radiation: f64,
    neutrinos: Option<Neutrinos>,
    /// At each node, the comoving distance (Mpc) and its derivative by redshift.
    table: Vec<[f64; 2]>,
}

impl Cosmology {
    /// The fiducial cosmology of DESI: h = 0.6736, ω_b = 0.02237, ω_cdm = 0.12, one neutrino of 0.06 eV
    /// (ω_ν = 0.0006442), `N_ur` = 2.0328, `T_cmb` = 2.7255 K; so Ω_m = 0.31519, with neutrinos.
    #[must_use]
    pub fn desi() -> Self {
        let h = 0.6736;
        let unit = 1.0 / (h * h);
        // photons of 2.7255 K and 2.0328 massless neutrinos, ω as CLASS has them
        let radiation = (2.472_979_280_861_5e-5 + 1.141_684_901_680_2e-5) * unit;
        // 0.06 eV by the neutrinos' temperature today, 0.71611 times the CMB's
        let neutrinos = Neutrinos::new(0.000_644_2 * unit, 0.06 / (8.617_333_262e-5 * 1.951_757_8));
        Self::with(h, (0.02237 + 0.12) * unit, radiation, Some(neutrinos))
    }

    /// Matter and Λ alone, as in `FlatLambdaCDM(100 h, omega_m)` of astropy.
    ///
    /// # Errors
    /// If h is not a positive number or `omega_m` is not within 0…1.
    pub fn flat(h: f64, omega_m: f64) -> Result<Self, Error> {
        if !(h > 0.0 && h.is_finite() && (0.0..=1.0).contains(&omega_m)) {
            return Err(Error::Parameters { h, omega_m });
        }
        Ok(Self::with(h, omega_m, 0.0, None))
    }

    fn with(h: f64, cold: f64, radiation: f64, neutrinos: Option<Neutrinos>) -> Self {
        let mut made = Self { h, cold, radiation, neutrinos, table: Vec::new() };
        let slope = |z: f64| made.hubble_distance() / made.expansion(z);
        let nodes = [-(0.6_f64.sqrt()), 0.0, 0.6_f64.sqrt()].map(|x| 0.5 * STEP * (1.0 + x));
        let weights = [5.0, 8.0, 5.0].map(|weight| weight * STEP / 18.0);
        let mut distance = 0.0;
        let mut table = Vec::with_capacity(STEPS + 1);
        for step in 0..=STEPS {
            let z = step as f64 * STEP;
            table.push([distance, slope(z)]);
            let parts = nodes.iter().zip(weights);
            distance += parts.map(|(node, weight)| weight * slope(z + node)).sum::<f64>();
        }
        made.table = table;
        made
    }

    /// H₀ / (100 km/s/Mpc).
    #[must_use]
    pub fn h(&self) -> f64 {
        self.h
    }

    /// Matter today, with massive neutrinos, as a part of the critical density.
    #[must_use]
    pub fn omega_m(&self) -> f64 {
        self.cold + self.neutrinos.as_ref().map_or(0.0, |neutrinos| neutrinos.omega)
    }

    /// Photons and massless neutrinos today, as a part of the critical density.
    #[must_use]
    pub fn omega_r(&self) -> f64 {
        self.radiation
    }

    /// Whether it is that of [`Self::desi`].
    #[must_use]
    pub fn is_desi(&self) -> bool {
        self.neutrinos.is_some()
    }

    /// c/H₀, Mpc.
    #[must_use]
    pub fn hubble_distance(&self) -> f64 {
        LIGHT_KM_S / (100.0 * self.h)
    }

    /// E(z) = H(z)/H₀.
    #[must_use]
    pub fn expansion(&self, z: f64) -> f64 {
        let a = 1.0 + z;
        let lambda = 1.0 - self.omega_m() - self.radiation;
        let neutrinos = self.neutrinos.as_ref().map_or(0.0, |neutrinos| neutrinos.density(a));
        (lambda + a * a * a * (self.cold + a * self.radiation) + neutrinos).sqrt()
    }

    /// Comoving distance (Mpc) at a redshift: NaN unless the redshift is within 0…[`Z_MAX`].
    #[must_use]
    pub fn distance(&self, z: f64) -> f64 {
        self.at(z)[0]
    }

    /// Comoving distance (Mpc), and how it grows with redshift (c/H, Mpc): both from the table.
    #[must_use]
    pub fn at(&self, z: f64) -> [f64; 2] {
        if !(0.0..=Z_MAX).contains(&z) {
            return [f64::NAN; 2];
        }
        let step = ((z / STEP) as usize).min(STEPS - 1);
        cubic(self.table[step], self.table[step + 1], z / STEP - step as f64)
    }

    /// The redshift at a comoving distance (Mpc): NaN where no redshift within 0…[`Z_MAX`] has it.
    #[must_use]
    pub fn redshift(&self, distance: f64) -> f64 {
        if !(0.0..=self.table[STEPS][0]).contains(&distance) {
            return f64::NAN;
        }
        let above = self.table.partition_point(|node| node[0] <= distance);
        let step = above.clamp(1, STEPS) - 1;
        let (low, high) = (self.table[step], self.table[step + 1]);
        let mut x = (distance - low[0]) / (high[0] - low[0]);
        // from a first guess good to 1e-3 of a step, each pass squares the error
        for _ in 0..4 {
            let [found, slope] = cubic(low, high, x);
            x -= (found - distance) / (slope * STEP);
        }
        (step as f64 + x) * STEP
    }

    /// Comoving distances (Mpc) of many redshifts, NaN as [`distance`](Self::distance) says.
    #[must_use]
    pub fn distances(&self, z: &[f64]) -> Vec<f64> {
        z.par_iter().map(|z| self.distance(*z)).collect()
    }

    /// Comoving positions (Mpc) of galaxies: x towards RA 0, Dec 0, z towards the north pole. NaN where
    /// a redshift has no distance or a declination is not within ±90°.
    ///
    /// # Errors
    /// If the arrays differ in length.
    pub fn positions(
        &self,
        ra_deg: &[f64],
        dec_deg: &[f64],
        z: &[f64],
    ) -> Result<Vec<[f64; 3]>, Error> {
        for found in [dec_deg.len(), z.len()] {
            if found != ra_deg.len() {
                return Err(Error::Length { expected: ra_deg.len(), found });
            }
        }
        let rows = ra_deg.par_iter().zip(dec_deg).zip(z);
        Ok(rows.map(|((ra, dec), z)| direction(*ra, *dec).map(|x| x * self.distance(*z))).collect())
    }
}

impl Default for Cosmology {
    fn default() -> Self {
        Self::desi()
    }
}

/// Unit vector of a place on the sky: NaN unless RA is a number and the declination within ±90°.
#[must_use]
pub fn direction(ra_deg: f64, dec_deg: f64) -> [f64; 3] {
    if !(ra_deg.is_finite() && (-90.0..=90.0).contains(&dec_deg)) {
        return [f64::NAN; 3];
    }
    let (ra, dec) = (ra_deg.to_radians(), dec_deg.to_radians());
    [dec.cos() * ra.cos(), dec.cos() * ra.sin(), dec.sin()]
}

/// Value and slope (by redshift) between two nodes, x of the step from the first.
fn cubic(low: [f64; 2], high: [f64; 2], x: f64) -> [f64; 2] {
    let rise = high[0] - low[0];
    let (from, to) = (low[1] * STEP, high[1] * STEP);
    let bend = 3.0 * rise - 2.0 * from - to;
    let twist = from + to - 2.0 * rise;
    let value = low[0] + x * (from + x * (bend + x * twist));
    [value, (from + x * (2.0 * bend + 3.0 * x * twist)) / STEP]
}

/// Massive neutrinos: a Fermi-Dirac gas that cools.
#[derive(Debug, Clone)]
struct Neutrinos {
    /// Density today by the critical one.
    omega: f64,
    /// Mass by temperature today.
    mass: f64,
    /// Momenta and weights that integrate over the gas.
    momenta: Vec<[f64; 2]>,
    today: f64,
}

impl Neutrinos {
    fn new(omega: f64, mass: f64) -> Self {
        // the double exponential rule: the trapezoidal one in t, where q = exp(t - exp(-t))
        let step = 0.125;
        let momentum = |i: i32| {
            let t = f64::from(i) * step;
            let q = (t - (-t).exp()).exp();
            [q, step * q * q * q * (1.0 + (-t).exp()) / (q.exp() + 1.0)]
        };
        let momenta = (-20..=31).map(momentum).collect();
        let mut made = Self { omega, mass, momenta, today: 1.0 };
        made.today = made.energy(1.0);
        made
    }

    /// Energy in units of the temperature at scale factor 1/a, up to a constant.
    fn energy(&self, a: f64) -> f64 {
        let square = (self.mass / a).powi(2);
        self.momenta.iter().map(|[q, weight]| weight * (q * q + square).sqrt()).sum()
    }

    /// Density at scale factor 1/a by today's critical one.
    fn density(&self, a: f64) -> f64 {
        self.omega * a.powi(4) * self.energy(a) / self.today
    }
}
