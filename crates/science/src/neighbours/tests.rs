use super::*;
use crate::cosmology::direction;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn near(found: f64, expected: f64) -> bool {
    (found.is_nan() && expected.is_nan()) || (found - expected).abs() <= 1e-12 * expected
}

#[test]
fn fifth_neighbours_are_those_of_all_pairs() {
    let mut dice = ChaCha8Rng::seed_from_u64(3);
    for number in 0..200 {
        let count = dice.random_range(0..120);
        let is_grid = dice.random_bool(0.3);
        let mut place = || {
            let x: f64 = dice.random_range(-3.0..3.0);
            if is_grid { x.round() } else { x.powi(3) }
        };
        let mut positions: Vec<[f64; 3]> =
            (0..count).map(|_| [place(), place(), place()]).collect();
        if number % 3 == 0 {
            positions.extend([[f64::NAN, 0.0, 0.0], [1e9, -1e9, 1e9], [0.0, f64::INFINITY, 0.0]]);
        }
        let found = dist_5nn(&positions).expect("distances");
        for (row, a) in positions.iter().enumerate() {
            let others = positions.iter().enumerate().filter(|(other, _)| *other != row);
            let mut distances: Vec<f64> = others
                .map(|(_, b)| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt())
                .filter(|distance| distance.is_finite())
                .collect();
            distances.sort_by(f64::total_cmp);
            let expected = distances.get(4).copied().unwrap_or(f64::NAN);
            assert!(near(found[row], expected), "{} is not {expected} in set {number}", found[row]);
        }
    }
}

/// Clumps about RA 0 and a pole, every third galaxy not a tracer.
struct Sky {
    ra: Vec<f64>,
    dec: Vec<f64>,
    z: Vec<f64>,
    is_tracer: Vec<bool>,
    completeness: Vec<f64>,
}

impl Sky {
    fn new(count: usize, seed: u64) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let mut one = |low: f64, high: f64| -> Vec<f64> {
            (0..count).map(|_| dice.random_range(low..high)).collect()
        };
        let (x, dec, z, completeness) =
            (one(-1.0, 1.0), one(0.0, 1.0), one(0.1, 0.13), one(0.3, 1.0));
        let is_polar = seed.is_multiple_of(2);
        let ra = x.iter().map(|x| if is_polar { 180.0 * x } else { 359.7 + x }).collect();
        let dec = dec.iter().map(|x| if is_polar { 90.0 - 2.0 * x.sqrt() } else { *x }).collect();
        Self { ra, dec, z, is_tracer: (0..count).map(|row| row % 3 > 0).collect(), completeness }
    }

    fn galaxies(&self) -> Galaxies<'_> {
        let Self { ra, dec, z, is_tracer, completeness } = self;
        Galaxies { ra_deg: ra, dec_deg: dec, z, is_tracer, completeness }
    }

    /// Σₙ of a row without an edge, and the angle to the n-th neighbour, by all pairs.
    fn direct(&self, cosmology: &Cosmology, row: usize, n: usize) -> [f64; 2] {
        let place = |row: usize| direction(self.ra[row], self.dec[row]);
        let is_near = |other: &usize| {
            let velocity = LIGHT_KM_S * (self.z[*other] - self.z[row]).abs() / (1.0 + self.z[row]);
            *other != row && self.is_tracer[*other] && velocity < 1000.0
        };
        let chord = |other: usize| {
            let (a, b) = (place(row), place(other));
            a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
        };
        let mut chords: Vec<f64> = (0..self.z.len()).filter(is_near).map(chord).collect();
        chords.sort_by(f64::total_cmp);
        let Some(chord) = chords.get(n - 1) else { return [f64::NAN; 2] };
        let angle = 2.0 * (chord / 2.0).asin();
        let radius = angle * cosmology.distance(self.z[row]);
        [n as f64 / (PI * radius * radius) / self.completeness[row], angle]
    }
}

#[test]
fn sigma_5_is_that_of_all_pairs() {
    let desi = Cosmology::desi();
    let mut known = 0;
    for seed in 0..12 {
        let sky = Sky::new(40 * seed as usize, seed);
        let found =
            sigma_5(&desi, sky.galaxies(), Edge::None, Recipe::default()).expect("densities");
        for row in 0..sky.z.len() {
            let [fourth, fifth, sixth] = [4, 5, 6].map(|n| sky.direct(&desi, row, n)[0]);
            let error = (fifth - fourth).abs().max((fifth - sixth).abs());
            let error = if sixth.is_nan() { f64::NAN } else { error };
            assert!(near(found.sigma_5[row], fifth), "{} is not {fifth}", found.sigma_5[row]);
            assert!((found.error[row] - error).abs() <= 1e-11 * fifth || error.is_nan());
            assert_eq!(found.error[row].is_nan(), error.is_nan());
            let expected = [flag::FEW, flag::NO_ERROR, 0]
                [usize::from(fifth.is_finite()) + usize::from(sixth.is_finite())];
            assert_eq!(found.flag[row], expected);
            known += usize::from(fifth.is_finite());
        }
    }
    assert!(known > 1000, "{known} densities try nothing");
}

#[test]
fn circles_over_the_edge_are_corrected_or_not_known() {
    let desi = Cosmology::desi();
    let sky = Sky::new(400, 1);
    let all = sigma_5(&desi, sky.galaxies(), Edge::None, Recipe::default()).expect("densities");
    let angle = |row: usize, n| sky.direct(&desi, row, n)[1];
    // edges just beyond the fifth, just before it, just beyond the sixth, in turn
    let edges: Vec<f64> = (0..400)
        .map(|row| match row % 3 {
            0 => angle(row, 5) * 1.000_001,
            1 => angle(row, 5) * 0.999_999,
            _ => angle(row, 6) * 1.000_001,
        })
        .collect();
    let found = sigma_5(&desi, sky.galaxies(), Edge::Angle(&edges), Recipe::default());
    let found = found.expect("densities");
    for row in (0..400).filter(|row| all.flag[*row] == 0) {
        let flags = [flag::NO_ERROR, flag::EDGE, 0];
        assert_eq!(found.flag[row], flags[row % 3]);
        assert_eq!(found.sigma_5[row].is_nan(), row % 3 == 1);
        assert_eq!(found.error[row].is_nan(), row % 3 < 2);
        assert!(near(found.radius[row], all.radius[row]));
    }
    let part = |row: usize, _: f64| [0.5, 0.8, 0.4, f64::NAN][row % 4];
    let found = sigma_5(&desi, sky.galaxies(), Edge::Usable(&part), Recipe::default());
    let found = found.expect("densities");
    for row in (0..400).filter(|row| all.flag[*row] == 0) {
        let expected = [2.0, 1.25, f64::NAN, f64::NAN][row % 4] * all.sigma_5[row];
        assert!(near(found.sigma_5[row], expected));
    }
}

#[test]
fn what_cannot_be_known_is_nan_and_says_why() {
    let desi = Cosmology::desi();
    let ra = [10.0; 9];
    let dec = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 91.0, 0.0];
    let z = [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, f64::NAN];
    let completeness = [1.0, 0.0, 1.5, f64::NAN, 1.0, 1.0, 1.0, 1.0, 1.0];
    let galaxies = Galaxies {
        ra_deg: &ra,
        dec_deg: &dec,
        z: &z,
        is_tracer: &[true; 9],
        completeness: &completeness,
    };
    let found = sigma_5(&desi, galaxies, Edge::None, Recipe::default()).expect("densities");
    assert!(found.sigma_5.iter().chain(&found.error).all(|value| value.is_nan()));
    let [none, one] = [flag::NO_PLACE, flag::TOGETHER];
    assert_eq!(found.flag, [one, none, none, none, one, one, one, none, none]);
    let few = Galaxies { is_tracer: &[false; 9], ..galaxies };
    let found = sigma_5(&desi, few, Edge::None, Recipe::default()).expect("densities");
    assert_eq!(found.flag[0], flag::FEW);
    let deep = Recipe { z: [0.09, 0.102], ..Recipe::default() };
    let sky = Sky::new(300, 1);
    let found = sigma_5(&desi, sky.galaxies(), Edge::None, deep).expect("densities");
    assert!(found.flag.iter().all(|flag| flag & flag::DEPTH > 0));
    assert!(found.sigma_5.iter().all(|sigma| sigma.is_nan()));
    for recipe in [
        Recipe { velocity_km_s: 0.0, ..Recipe::default() },
        Recipe { velocity_km_s: f64::NAN, ..Recipe::default() },
        Recipe { least_usable: 1.5, ..Recipe::default() },
    ] {
        assert!(sigma_5(&desi, galaxies, Edge::None, recipe).is_err());
    }
    assert!(sigma_5(&desi, galaxies, Edge::Angle(&[0.1]), Recipe::default()).is_err());
    assert!(sigma_5(&desi, Galaxies { z: &z[1..], ..galaxies }, Edge::None, deep).is_err());
}

#[test]
fn many_galaxies_in_one_place_are_searched_quickly() {
    // a pair at a time, this would be 4 x 10^10 distances
    let count = 200_000;
    assert_eq!(dist_5nn(&vec![[1e9, 2.0, 3.0]; count]).expect("distances"), vec![0.0; count]);
    assert_eq!(dist_5nn(&[]).expect("distances"), [0.0; 0]);
    assert!(dist_5nn(&[[0.0; 3]; 5]).expect("distances").iter().all(|distance| distance.is_nan()));
}
