//! Catalogues of random points that follow a survey's selection, as surveys publish them with their
//! clustering catalogues.

use super::Mask;
use bifrost_science::cosmology::{Cosmology, direction};
use rand::Rng;
use rand::seq::index;

/// Why random points cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Columns of one catalogue that differ in length.
    #[error("its columns have {0} and {1} rows")]
    Length(usize, usize),
    /// A point that is nowhere.
    #[error("row {0} is not on the sky: right ascension is finite, declination -90 to 90 degrees")]
    Position(usize),
    /// A redshift at which nothing can be.
    #[error("row {0} has a redshift that is not a number above 0")]
    Redshift(usize),
    /// Some catalogues with redshifts, others without.
    #[error("of several catalogues all have a column z, or none has")]
    Mixed,
    /// Not one for each galaxy.
    #[error(
        "{randoms} random points lie within the sample's sky and redshifts, which has {galaxies} galaxies: \
         give more catalogues"
    )]
    TooFew {
        /// Random points.
        randoms: usize,
        /// Galaxies.
        galaxies: usize,
    },
}

/// Random points on the sky, or in space.
#[derive(Debug, Clone, Default)]
pub struct Randoms {
    /// Right ascension and declination, degrees (ICRS).
    places: Vec<(f64, f64)>,
    /// Redshifts, of all or of none.
    z: Option<Vec<f64>>,
}

/// Random points of one sample, ready to be drawn.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Directions; in comoving Mpc where redshifts are known.
    points: Vec<[f64; 3]>,
    /// Whether they have distances.
    pub has_distances: bool,
}

impl Randoms {
    /// Adds a catalogue: positions in degrees, and redshifts if it has any.
    ///
    /// # Errors
    /// [`Error`] for points that are nowhere, or another kind of catalogue than before.
    pub fn add(&mut self, ra: Vec<f64>, dec: Vec<f64>, z: Option<Vec<f64>>) -> Result<(), Error> {
        for other in [Some(dec.len()), z.as_ref().map(Vec::len)].into_iter().flatten() {
            if other != ra.len() {
                return Err(Error::Length(ra.len(), other));
            }
        }
        let is_place = |(ra, dec): &(f64, f64)| ra.is_finite() && (-90.0..=90.0).contains(dec);
        let places: Vec<(f64, f64)> = ra.into_iter().zip(dec).collect();
        if let Some(row) = places.iter().position(|place| !is_place(place)) {
            return Err(Error::Position(row));
        }
        let is_redshift = |z: &f64| *z > 0.0 && z.is_finite();
        if let Some(row) = z.iter().flatten().position(|z| !is_redshift(z)) {
            return Err(Error::Redshift(row));
        }
        match (&mut self.z, z) {
            (Some(all), Some(z)) => all.extend(z),
            (None, z) if self.places.is_empty() => self.z = z,
            (None, None) => {}
            _ => return Err(Error::Mixed),
        }
        self.places.extend(places);
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// BLAKE3 of all of them (hex).
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (ra, dec) in &self.places {
            hasher.update(&ra.to_le_bytes());
            hasher.update(&dec.to_le_bytes());
        }
        self.z.iter().flatten().for_each(|z| {
            hasher.update(&z.to_le_bytes());
        });
        hasher.finalize().to_hex().to_string()
    }

    /// Those within a mask, and between redshifts where they have any, for a sample of so many galaxies.
    ///
    /// # Errors
    /// [`Error::TooFew`].
    pub fn pool(
        &self,
        mask: &Mask,
        z: [f64; 2],
        galaxies: usize,
        cosmology: &Cosmology,
    ) -> Result<Pool, Error> {
        let mut points = Vec::new();
        for (row, (ra, dec)) in self.places.iter().enumerate() {
            let own = self.z.as_ref().and_then(|all| all.get(row));
            if mask.contains(*ra, *dec) && own.is_none_or(|own| (z[0]..=z[1]).contains(own)) {
                let distance = own.map_or(1.0, |z| cosmology.distance(*z));
                points.push(direction(*ra, *dec).map(|x| x * distance));
            }
        }
        match points.len() {
            randoms if randoms < galaxies => Err(Error::TooFew { randoms, galaxies }),
            _ => Ok(Pool { points, has_distances: self.z.is_some() }),
        }
    }
}

impl Pool {
    /// So many of the points, each at most once.
    pub fn draw(&self, count: usize, dice: &mut impl Rng) -> Vec<[f64; 3]> {
        let rows = index::sample(dice, self.points.len(), count.min(self.points.len()));
        rows.into_iter().filter_map(|row| self.points.get(row).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_core::sky::{self, Moc};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn points_are_drawn_once_and_within() {
        let mask = Mask::from(Moc::of_cells(6, [10000]));
        let (ra, dec) = sky::centre(6, 10000);
        let (other, far) = sky::centre(6, 40000);
        let mut randoms = Randoms::default();
        randoms.add(vec![ra; 5], vec![dec; 5], Some(vec![0.1, 0.2, 0.3, 0.4, 9.0])).expect("added");
        randoms.add(vec![other], vec![far], Some(vec![0.2])).expect("added");
        let cosmology = Cosmology::desi();
        let pool = randoms.pool(&mask, [0.05, 0.5], 4, &cosmology).expect("enough");
        assert!(pool.has_distances);
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        let mut drawn: Vec<f64> = pool
            .draw(4, &mut dice)
            .iter()
            .map(|p| p.iter().map(|x| x * x).sum::<f64>().sqrt())
            .collect();
        drawn.sort_by(f64::total_cmp);
        for (found, z) in drawn.iter().zip([0.1, 0.2, 0.3, 0.4]) {
            assert!((found / cosmology.distance(z) - 1.0).abs() < 1e-12);
        }
        assert_eq!(
            randoms.pool(&mask, [0.05, 0.35], 4, &cosmology).err(),
            Some(Error::TooFew { randoms: 3, galaxies: 4 })
        );
    }

    #[test]
    fn points_that_are_nowhere_are_named() {
        let mut randoms = Randoms::default();
        assert_eq!(randoms.add(vec![1.0, 2.0], vec![3.0], None), Err(Error::Length(2, 1)));
        assert_eq!(randoms.add(vec![1.0, 2.0], vec![3.0, 91.0], None), Err(Error::Position(1)));
        assert_eq!(randoms.add(vec![1.0], vec![3.0], Some(vec![-1.0])), Err(Error::Redshift(0)));
        randoms.add(vec![1.0], vec![3.0], None).expect("added");
        assert_eq!(randoms.add(vec![1.0], vec![3.0], Some(vec![1.0])), Err(Error::Mixed));
    }
}
