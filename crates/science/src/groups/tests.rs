use super::*;
use crate::cosmology::LIGHT_KM_S;
use crate::fof::link_isotropic;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Groups of points on a line, whose first coordinates are given.
fn groups(places: &[f64]) -> Components {
    let positions: Vec<[f64; 3]> = places.iter().map(|x| [*x, 0.0, 0.0]).collect();
    link_isotropic(&positions, 1.0).expect("groups")
}

fn near(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance * expected.abs()
}

#[test]
fn a_group_has_its_members_centre_redshift_and_size() {
    let desi = Cosmology::desi();
    let of = groups(&[0.0, 50.0, 0.5, 1.0, 90.0, 50.5]);
    let galaxies = Galaxies {
        id: &[30, 7, 20, 10, 1, 8],
        // one group about RA 0 on the equator, one over the pole
        ra_deg: &[359.9, 0.0, 0.1, 0.0, 5.0, 180.0],
        dec_deg: &[0.0, 89.9, 0.0, 0.0, 5.0, 89.9],
    };
    let z = [0.1, 0.3, 0.102, 0.101, 0.5, 0.3];
    let found = catalogue(&desi, galaxies, &z, &[0.0], &of, 2).expect("a catalogue");
    assert_eq!(found.group_id, [7, 10]);
    assert_eq!(found.size, [2, 3]);
    assert!((found.dec_deg[0] - 90.0).abs() < 1e-9 && found.dec_deg[1].abs() < 1e-9);
    assert!(found.ra_deg[1].min(360.0 - found.ra_deg[1]) < 1e-9);
    assert_eq!(found.z, [0.3, 0.101]);
    assert!(near(found.r50[0], 0.1_f64.to_radians() * desi.distance(0.3), 1e-9));
    assert!(near(found.r50[1], 0.1_f64.to_radians() * desi.distance(0.101), 1e-9));
    // equal redshifts: no dispersion is resolved
    assert!(found.dispersion[0].is_nan() && found.dispersion_error[0].is_nan());
    assert!(found.dispersion[1] > 0.0 && found.dispersion_error[1] >= 0.0);
    let three = catalogue(&desi, galaxies, &z, &[0.0; 6], &of, 3).expect("a catalogue");
    assert_eq!(three.group_id, [10]);
    let none = catalogue(&desi, galaxies, &z[..5], &[0.0], &of, 2);
    assert_eq!(none, Err(Error::Length { of: "redshift", expected: 6, found: 5 }));
}

#[test]
fn dispersions_are_those_of_the_gapper_and_of_leaving_each_out() {
    let z = [0.1000, 0.1004, 0.1011, 0.1013, 0.1030, 0.0990];
    let direct = |z: &[f64]| {
        let middle = 0.10075;
        let mut velocities: Vec<f64> =
            z.iter().map(|z| LIGHT_KM_S * (z - middle) / (1.0 + middle)).collect();
        velocities.sort_by(f64::total_cmp);
        let n = z.len() as f64;
        let gaps = velocities.windows(2).zip(1..);
        let sum: f64 =
            gaps.map(|(pair, i)| f64::from(i) * (n - f64::from(i)) * (pair[1] - pair[0])).sum();
        (std::f64::consts::PI.sqrt() / (n * (n - 1.0)) * sum).powi(2) * n / (n - 1.0)
    };
    let found = dispersion(&z, 100.0);
    assert!(near(found.sigma, (direct(&z) - 1e4).sqrt(), 1e-10), "{found:?}");
    let left_out: Vec<f64> = (0..z.len())
        .map(|out| {
            let rest: Vec<f64> = (0..z.len()).filter(|row| *row != out).map(|row| z[row]).collect();
            direct(&rest).sqrt()
        })
        .collect();
    let mean = left_out.iter().sum::<f64>() / 6.0;
    let spread: f64 = left_out.iter().map(|sigma| (sigma - mean).powi(2)).sum();
    let error = (5.0 / 6.0 * spread).sqrt() * direct(&z).sqrt() / found.sigma;
    assert!(near(found.error, error, 1e-10), "{found:?} {error}");
}

#[test]
fn a_dispersion_that_cannot_be_known_is_nan() {
    for (z, error) in [
        (&[][..], 0.0),
        (&[0.1], 0.0),
        (&[0.1, 0.1], 0.0),
        (&[0.1, 0.1001, 0.1], 1000.0),
        (&[0.1, f64::NAN], 0.0),
        (&[0.1, 0.11], f64::NAN),
    ] {
        assert!(dispersion(z, error).sigma.is_nan(), "{z:?} {error}");
    }
    let pair = dispersion(&[0.1, 0.101], 0.0);
    assert!(pair.sigma > 0.0 && pair.error.is_nan());
}

#[test]
fn normal_velocities_have_their_dispersion() {
    // by Box and Muller
    let mut dice = ChaCha8Rng::seed_from_u64(5);
    let count = 40_000;
    let mut velocity = || {
        let radius = (-2.0 * dice.random_range(f64::MIN_POSITIVE..1.0).ln()).sqrt();
        500.0 * radius * dice.random_range(0.0..std::f64::consts::TAU).cos()
    };
    let z: Vec<f64> = (0..count).map(|_| 0.2 + 1.2 * velocity() / LIGHT_KM_S).collect();
    let found = dispersion(&z, 0.0);
    assert!(near(found.sigma, 500.0, 0.01), "{found:?}");
    // the error of σ of a normal sample is σ/√(2n)
    assert!(near(found.error, 500.0 / (2.0 * f64::from(count)).sqrt(), 0.15), "{found:?}");
}

#[test]
fn rows_in_another_order_make_the_same_catalogue() {
    let desi = Cosmology::desi();
    let count = 500_usize;
    let mix = |row: usize, by: usize| (row * by % 499) as f64 / 499.0;
    let column = |by: usize| (0..count).map(|row| mix(row, by)).collect::<Vec<f64>>();
    let (ra, dec, z) = (column(37), column(91), column(113));
    let z: Vec<f64> = z.iter().map(|z| 0.2 + 0.01 * z).collect();
    let ids: Vec<i64> = (0..count as i64).map(|row| row * 263 % 509).collect();
    let of: Vec<f64> = (0..count).map(|row| (row % 40) as f64 * 5.0).collect();
    let galaxies = Galaxies { id: &ids, ra_deg: &ra, dec_deg: &dec };
    let one = catalogue(&desi, galaxies, &z, &[20.0], &groups(&of), 2).expect("a catalogue");
    let turn = |values: &[f64]| values.iter().rev().copied().collect::<Vec<f64>>();
    let back: Vec<i64> = ids.iter().rev().copied().collect();
    let galaxies = Galaxies { id: &back, ra_deg: &turn(&ra), dec_deg: &turn(&dec) };
    let two = catalogue(&desi, galaxies, &turn(&z), &[20.0], &groups(&turn(&of)), 2);
    assert_eq!(two.expect("a catalogue"), one);
    assert_eq!(one.group_id.len(), 40);
}

#[test]
fn fingers_become_as_long_as_wide() {
    let of = groups(&[0.0, 0.1, 0.2, 0.3, 0.4, 9.0, 20.0, 20.1, 20.2]);
    let width = 0.05;
    let galaxies = Galaxies {
        id: &[1, 2, 3, 4, 5, 6, 7, 8, 9],
        ra_deg: &[10.0, 10.0 + width, 10.0 - width, 10.0, 10.0, 50.0, 80.0, 80.5, 80.0],
        dec_deg: &[0.0, 0.0, 0.0, width, -width, 3.0, 0.0, 0.0, 0.5],
    };
    let distance = [500.0, 490.0, 510.0, 505.0, 495.0, 300.0, 400.0, 400.1, 399.9];
    let found = compress(galaxies, &distance, &of, 2).expect("distances");
    let rms = |values: &[f64]| {
        let square: f64 = values.iter().map(|distance| (distance - 500.0).powi(2)).sum();
        (square / 4.0).sqrt()
    };
    let expected = 500.0 * width.to_radians() * (4.0 / 8.0_f64).sqrt();
    assert!(near(rms(&found[..5]), expected, 1e-4), "{} {expected}", rms(&found[..5]));
    assert!(near(found[..5].iter().sum::<f64>() / 5.0, 500.0, 1e-12));
    assert!(
        found[1] < found[4] && found[4] < found[0] && found[0] < found[3] && found[3] < found[2]
    );
    // alone, and wider than long: as it was
    assert_eq!(found[5..], distance[5..]);
    let large = compress(galaxies, &distance, &of, 6).expect("distances");
    assert_eq!(large, distance);
    assert!(compress(galaxies, &distance[1..], &of, 2).is_err());
}

#[test]
fn fingers_of_equal_places_stay_finite() {
    let of = groups(&[0.0; 3]);
    let galaxies = Galaxies { id: &[1, 2, 3], ra_deg: &[10.0; 3], dec_deg: &[0.0; 3] };
    assert_eq!(compress(galaxies, &[500.0; 3], &of, 2).expect("distances"), [500.0; 3]);
    let found = compress(galaxies, &[490.0, 500.0, 510.0], &of, 2).expect("distances");
    assert!(found.iter().all(|distance| near(*distance, 500.0, 1e-9)), "{found:?}");
}
