use super::*;

/// Simpson's rule, halved until a part agrees with its halves to `tolerance`.
fn adaptive(f: &dyn Fn(f64) -> f64, a: f64, b: f64, tolerance: f64) -> f64 {
    let simpson = |a: f64, b: f64| (b - a) / 6.0 * (f(a) + 4.0 * f(0.5 * (a + b)) + f(b));
    let middle = 0.5 * (a + b);
    let (whole, halves) = (simpson(a, b), simpson(a, middle) + simpson(middle, b));
    if (whole - halves).abs() <= 15.0 * tolerance {
        return halves + (halves - whole) / 15.0;
    }
    adaptive(f, a, middle, 0.5 * tolerance) + adaptive(f, middle, b, 0.5 * tolerance)
}

/// Redshifts between nodes and at them, small and large.
fn redshifts() -> impl Iterator<Item = f64> {
    let between = (0..60).map(|i| 1e-4 * 1.22_f64.powi(i));
    between.chain([1.0 / 256.0, 0.5, 3.0, 19.999, Z_MAX]).filter(|z| *z <= Z_MAX)
}

#[test]
fn distances_are_those_of_direct_quadrature() {
    let flat = Cosmology::flat(0.7, 0.3).expect("a cosmology");
    for cosmology in [Cosmology::desi(), flat] {
        for z in redshifts() {
            let direct = adaptive(&|z| 1.0 / cosmology.expansion(z), 0.0, z, 1e-13 * z);
            let expected = direct * cosmology.hubble_distance();
            assert!((cosmology.distance(z) / expected - 1.0).abs() < 1e-9, "z {z}");
        }
    }
}

#[test]
fn the_fiducial_cosmology_is_that_of_class() {
    // z, H (1/Mpc), χ (Mpc) of AbacusSummit c000 as CLASS 3.1.1 writes it
    let golden = [
        (0.0, 2.246887745255e-4, 0.0),
        (2.173070619671e-2, 2.270362983253e-4, 9.621567113324e1),
        (3.277250695286e-2, 2.282584202647e-4, 1.447201078712e2),
        (4.884156967310e-1, 2.950563177694e-4, 1.913211182096e3),
        (8.653353428899e-1, 3.713427834455e-4, 3.054214284013e3),
        (1.898371505122, 6.498376470933e-4, 5.160894825714e3),
        (2.593507090917, 8.795703005695e-4, 6.079794561638e3),
    ];
    let desi = Cosmology::desi();
    for (z, hubble, distance) in golden {
        let found = desi.expansion(z) / desi.hubble_distance();
        assert!((found / hubble - 1.0).abs() < 1e-7, "H at {z}: {found}, not {hubble}");
        assert!((desi.distance(z) - distance).abs() <= 1e-7 * distance, "χ at {z}");
    }
    assert!((desi.omega_m() - 0.315_191_87).abs() < 1e-7, "{}", desi.omega_m());
}

#[test]
fn einstein_and_de_sitter_have_distances_in_closed_form() {
    let (dust, vacuum) = (Cosmology::flat(0.5, 1.0), Cosmology::flat(0.5, 0.0));
    let (dust, vacuum) = (dust.expect("a cosmology"), vacuum.expect("a cosmology"));
    let unit = 2.0 * 2997.92458;
    for z in redshifts() {
        let expected = 2.0 * unit * (1.0 - (1.0 + z).sqrt().recip());
        assert!((dust.distance(z) / expected - 1.0).abs() < 2e-9, "z {z}");
        assert!((vacuum.distance(z) / (unit * z) - 1.0).abs() < 1e-12, "z {z}");
    }
}

#[test]
fn a_redshift_comes_back_from_its_distance() {
    let desi = Cosmology::desi();
    for z in redshifts().chain([0.0]) {
        let back = desi.redshift(desi.distance(z));
        assert!((back - z).abs() <= 1e-12 * z.max(1e-3), "{z} came back as {back}");
    }
}

#[test]
fn slopes_of_the_table_are_the_expansion() {
    let desi = Cosmology::desi();
    for z in redshifts() {
        let slope = desi.hubble_distance() / desi.expansion(z);
        assert!((desi.at(z)[1] / slope - 1.0).abs() < 1e-7, "z {z}");
    }
}

#[test]
fn what_has_no_distance_is_nan() {
    let desi = Cosmology::desi();
    for z in [-1e-9, f64::NAN, f64::INFINITY, 20.1, 1e9, -1e9] {
        assert!(desi.distance(z).is_nan(), "{z}");
        assert!(desi.redshift(if z > 0.0 { z * 1e6 } else { z }).is_nan(), "{z}");
    }
    let positions = desi.positions(&[0.0, 1.0, f64::NAN], &[91.0, 2.0, 3.0], &[0.1, f64::NAN, 0.1]);
    assert!(positions.expect("positions").iter().flatten().all(|x| x.is_nan()));
}

#[test]
fn positions_are_directions_times_distances() {
    let desi = Cosmology::desi();
    let positions = desi.positions(&[0.0, 90.0, 450.0, 12.0], &[0.0, 0.0, 0.0, 90.0], &[0.1; 4]);
    let distance = desi.distance(0.1);
    let expected = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    for (found, expected) in positions.expect("positions").iter().zip(expected) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected * distance).abs() < 1e-12 * distance);
        }
    }
    assert_eq!(
        desi.positions(&[0.0; 3], &[0.0; 2], &[0.1; 3]),
        Err(Error::Length { expected: 3, found: 2 })
    );
}

#[test]
fn impossible_parameters_are_refused() {
    for (h, omega_m) in [(0.0, 0.3), (f64::NAN, 0.3), (0.7, 1.1), (0.7, -0.1), (0.7, f64::NAN)] {
        assert!(Cosmology::flat(h, omega_m).is_err(), "{h} {omega_m}");
    }
}
