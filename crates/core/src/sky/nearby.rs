//! Positions of a list, found from whatever lies within a radius of them.

use super::vector::{Vector, angle, chord2, chord2_of, vector};
use super::{Error, Moc, healpix_29, range_of};
use cdshealpix::nested;
use std::collections::{BTreeSet, HashMap};

/// The smallest cells by which parts of the sky are left out; about 51 arc seconds.
const DEEPEST: u8 = 12;
/// Cells of order 0 are about so wide, degrees; a quarter of it is safe around their corners, too.
const REACH_DEG: f64 = 58.6 / 4.0;

/// A list of positions and the radius within which they are looked for.
#[derive(Debug, Clone)]
pub struct Nearby {
    radius_deg: f64,
    directions: Vec<Option<Vector>>,
    /// Positions whose surroundings reach into a cube of space.
    cubes: HashMap<[i32; 3], Vec<u32>>,
    edge: f64,
}

impl Nearby {
    /// Of positions (right ascension, declination; degrees). One that is not on the sky is near nothing.
    ///
    /// # Errors
    /// [`Error::Radius`] unless the radius lies in 0 to 180 degrees.
    pub fn new(positions: &[(f64, f64)], radius_deg: f64) -> Result<Self, Error> {
        if !(0.0..=180.0).contains(&radius_deg) {
            return Err(Error::Radius(radius_deg));
        }
        let reach = chord2_of(radius_deg.to_radians()).sqrt();
        // not so small that the numbers of cubes would overflow
        let edge = (2.0 * reach).max(1e-8);
        let is_place = |(ra, dec): &(f64, f64)| ra.is_finite() && (-90.0..=90.0).contains(dec);
        let directions: Vec<_> =
            positions.iter().map(|place| is_place(place).then(|| vector(*place))).collect();
        let mut cubes: HashMap<[i32; 3], Vec<u32>> = HashMap::new();
        for (number, at) in (0..).zip(&directions) {
            let Some(at) = at else { continue };
            // a little more, lest rounding puts somebody's neighbour into the next cube
            let reach = reach * (1.0 + 1e-9) + 1e-15;
            let (low, high) =
                (at.map(|x| cube(x - reach, edge)), at.map(|x| cube(x + reach, edge)));
            for x in low[0]..=high[0] {
                for y in low[1]..=high[1] {
                    (low[2]..=high[2])
                        .for_each(|z| cubes.entry([x, y, z]).or_default().push(number));
                }
            }
        }
        Ok(Self { radius_deg, directions, cubes, edge })
    }

    /// How many positions are on the sky.
    #[must_use]
    pub fn places(&self) -> usize {
        self.directions.iter().flatten().count()
    }

    /// Positions within the radius of a position (degrees), edge included: their numbers in the list, and
    /// how far they are (degrees), nearest first.
    #[must_use]
    pub fn of(&self, ra_deg: f64, dec_deg: f64) -> Vec<(u32, f64)> {
        if !ra_deg.is_finite() || !(-90.0..=90.0).contains(&dec_deg) {
            return Vec::new();
        }
        let here = vector((ra_deg, dec_deg));
        let Some(near) = self.cubes.get(&here.map(|x| cube(x, self.edge))) else {
            return Vec::new();
        };
        let within = chord2_of(self.radius_deg.to_radians()) * (1.0 + 1e-9) + 1e-30;
        let mut found = Vec::new();
        for &number in near {
            let Some(Some(there)) = self.directions.get(number as usize) else { continue };
            if chord2(here, *there) <= within {
                let apart = angle(here, *there).to_degrees();
                if apart <= self.radius_deg {
                    found.push((number, apart));
                }
            }
        }
        found.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        found
    }

    /// A part of the sky that holds everything within the radius of the positions: never too little.
    #[must_use]
    pub fn moc(&self, positions: &[(f64, f64)]) -> Moc {
        let wanted = (REACH_DEG / self.radius_deg.max(1e-6)).log2().floor();
        if wanted < 0.0 {
            let all = range_of(0, 0).start..range_of(0, 11).end;
            return Moc::of_ranges(std::iter::once(all).collect());
        }
        let order = (wanted as u8).min(DEEPEST);
        let shift = 2 * (super::ORDER - order);
        let cells = positions.iter().filter_map(|(ra, dec)| healpix_29(*ra, *dec));
        let cells: BTreeSet<u64> = cells.map(|cell| cell.cast_unsigned() >> shift).collect();
        let around = |cell: &u64| nested::neighbours(order, *cell, true).values_vec();
        let cells: BTreeSet<u64> = cells.iter().flat_map(around).collect();
        Moc::of_ranges(cells.into_iter().map(|cell| range_of(order, cell)).collect())
    }
}

fn cube(x: f64, edge: f64) -> i32 {
    (x / edge).floor() as i32
}

#[cfg(test)]
mod tests {
    use super::super::separation_deg;
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Anywhere, on the poles, and where cells meet.
    fn place(dice: &mut ChaCha8Rng) -> (f64, f64) {
        let ra = dice.random_range(-10.0..370.0);
        match dice.random_range(0..4) {
            0 => (ra, dice.random_range(-1f64..1.0).asin().to_degrees()),
            1 => {
                (ra, [-90.0, 90.0][dice.random_range(0..2)] * (1.0 - dice.random_range(0.0..1e-4)))
            }
            2 => (45.0 * f64::from(dice.random_range(0..8)), 41.810_314_895_778_6),
            _ => (dice.random_range(0.0..1e-3), dice.random_range(-1e-3..1e-3)),
        }
    }

    #[test]
    fn neighbours_are_those_of_brute_force_and_lie_in_the_cover() {
        let mut dice = ChaCha8Rng::seed_from_u64(7);
        for trial in 0..300 {
            let radius = 10f64.powf(dice.random_range(-5.0..1.9));
            let mut list: Vec<(f64, f64)> = (0..20).map(|_| place(&mut dice)).collect();
            list.push((f64::NAN, 0.0));
            list.push((10.0, 91.0));
            let nearby = Nearby::new(&list, radius).expect("a radius");
            let moc = nearby.moc(&list);
            assert_eq!(nearby.places(), 20);
            for _ in 0..200 {
                let (ra, dec) = list[dice.random_range(0..20)];
                let off = radius * dice.random_range(0.0..1.5);
                let turn: f64 = dice.random_range(0.0..std::f64::consts::TAU);
                let dec_there = (dec + off * turn.sin()).clamp(-90.0, 90.0);
                let wide = dec_there.to_radians().cos().max(1e-6);
                let (ra, dec) = (ra + (off * turn.cos() / wide).clamp(-180.0, 180.0), dec_there);
                let apart = |place: &(f64, f64)| separation_deg(ra, dec, place.0, place.1);
                let found: Vec<u32> = nearby.of(ra, dec).into_iter().map(|(n, _)| n).collect();
                for (number, at) in (0u32..20).zip(&list) {
                    // on the edge itself the two ways to measure may differ in the last digit
                    if (apart(at) - radius).abs() > 1e-9 {
                        let is_near = apart(at) < radius;
                        assert_eq!(found.contains(&number), is_near, "trial {trial}: {ra} {dec}");
                        assert!(!is_near || moc.contains(ra, dec), "trial {trial}: {ra} {dec}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_nearest_comes_first_and_a_radius_must_be_one() {
        let list = [(10.0, 0.0), (10.001, 0.0), (9.9995, 0.0)];
        let found = Nearby::new(&list, 0.01).expect("a radius").of(10.0, 0.0);
        assert_eq!(found.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 2, 1]);
        assert!((found[1].1 - 0.0005).abs() < 1e-12);
        assert!(Nearby::new(&list, -1.0).is_err() && Nearby::new(&list, f64::NAN).is_err());
        assert_eq!(Nearby::new(&list, 0.0).expect("a radius").of(10.0, 0.0), [(0, 0.0)]);
    }
}
