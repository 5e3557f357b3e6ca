//! Galaxies that are seen wherever they are: a population that does not thin out with distance.

use super::Sample;
use bifrost_science::cosmology::Cosmology;
use serde::Serialize;

/// Ends of the redshifts among which the depth of a population is looked for.
const DEPTHS: [f64; 2] = [1e-4, 10.0];

/// Galaxies brighter than an absolute magnitude in the r band, out to where the faintest of them would no
/// longer be observed: M = m − 5 log₁₀(D_L / 10 pc) − K z, with m corrected for the Galaxy's dust.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Population {
    /// Absolute magnitude (AB).
    pub brighter_than: f64,
    /// Apparent magnitude (AB) to which the survey observes.
    pub faintest: f64,
    /// K correction a unit of redshift, magnitudes.
    pub k_correction: f64,
}

impl Population {
    /// By how much a galaxy at a redshift is fainter than its absolute magnitude.
    fn modulus(&self, cosmology: &Cosmology, z: f64) -> f64 {
        let luminosity_mpc = (1.0 + z) * cosmology.distance(z);
        5.0 * luminosity_mpc.log10() + 25.0 + self.k_correction * z
    }

    /// The redshift out to which all of it is observed.
    #[must_use]
    pub fn depth(&self, cosmology: &Cosmology) -> f64 {
        let [mut near, mut far] = DEPTHS;
        for _ in 0..60 {
            let middle = 0.5 * (near + far);
            let is_seen = self.brighter_than + self.modulus(cosmology, middle) <= self.faintest;
            *(if is_seen { &mut near } else { &mut far }) = middle;
        }
        near
    }

    /// Which galaxies of a sample belong to it.
    #[must_use]
    pub fn of(&self, sample: &Sample, cosmology: &Cosmology) -> Vec<bool> {
        let depth = self.depth(cosmology);
        let is_of = |(z, magnitude): (&f64, &f32)| {
            *z <= depth && f64::from(*magnitude) - self.modulus(cosmology, *z) <= self.brighter_than
        };
        sample.z.iter().zip(&sample.r_mag).map(is_of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_population_ends_where_its_faintest_are_lost() {
        let cosmology = Cosmology::desi();
        let population = Population { brighter_than: -20.5, faintest: 19.5, k_correction: 1.0 };
        let depth = population.depth(&cosmology);
        // M = -20.5 at 40 magnitudes of distance and K: some 1000 Mpc less what K takes
        assert!((0.15..0.22).contains(&depth), "{depth}");
        let z = vec![0.1, 0.1, depth * 0.999, depth * 1.001, 0.1];
        let modulus = population.modulus(&cosmology, 0.1);
        let r_mag = [modulus - 20.6, modulus - 20.4, 10.0, 10.0, f64::NAN].map(|m| m as f32);
        let sample = Sample { z, r_mag: r_mag.to_vec(), ..Sample::default() };
        assert_eq!(population.of(&sample, &cosmology), [true, false, true, false, false]);
    }
}
