use super::*;

const BOX: Uniform = Uniform { low: [0.0; 3], high: [1.0; 3], seed: 5 };
const PERIODIC: Space = Space::Periodic { low: BOX.low, high: BOX.high };

fn webs(galaxies: &[[f64; 3]], space: Space, realisations: u32) -> Vec<Web> {
    let drawn = |realisation, count| BOX.points(realisation, count);
    classify(galaxies, space, realisations, drawn).expect("points are good")
}

/// Which part of galaxies is of each class.
fn fractions(webs: &[Web]) -> [f64; 4] {
    Class::ALL.map(|class| {
        let is = |web: &&Web| web.class() == Some(class);
        webs.iter().filter(is).count() as f64 / webs.len() as f64
    })
}

fn poisson(count: usize) -> Vec<[f64; 3]> {
    Uniform { seed: 77, ..BOX }.points(0, count)
}

#[test]
fn thresholds_belong_to_the_emptier_class() {
    let contrasts = [-1.0, -0.9, -0.89, 0.0, 0.01, 0.9, 0.91, 1.0];
    let [v, s, f, k] = Class::ALL;
    assert_eq!(contrasts.map(Class::of), [v, v, s, s, f, f, k, k]);
    assert_eq!(Web { counts: [0, 4, 4, 2] }.class(), Some(Class::Sheet));
    assert_eq!(Web::default().class(), None);
}

#[test]
fn points_without_structure_are_between_void_and_knot() {
    let webs = webs(&poisson(3000), PERIODIC, 5);
    let mut mean = [0.0; 4];
    for web in &webs {
        let probabilities = web.probabilities().expect("all points are in the mesh");
        mean.iter_mut().zip(probabilities).for_each(|(sum, p)| *sum += p / webs.len() as f64);
    }
    let [void, sheet, filament, knot] = mean;
    assert!(void < 0.005 && knot < 0.005, "{void} {knot}");
    // neighbours are galaxies with even odds; as many galaxies as random points, which is so for a tenth
    // of 15.5 neighbours on average, is a sheet
    assert!(
        (0.52..0.59).contains(&sheet) && (0.41..0.48).contains(&filament),
        "{sheet} {filament}"
    );
}

#[test]
fn classes_are_the_same_every_time_and_for_any_number_of_threads() {
    let galaxies = poisson(500);
    let once = webs(&galaxies, Space::Open, 4);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("threads");
    assert_eq!(pool.install(|| webs(&galaxies, Space::Open, 4)), once);
    assert!(once.iter().all(|web| web.counts.iter().sum::<u32>() == 4));
}

/// A knot, a filament, a sheet and void galaxies, apart from each other, and where each begins.
fn planted() -> (Vec<[f64; 3]>, [usize; 5]) {
    let around = |seed: u64, count: usize, centre: [f64; 3], half: [f64; 3]| {
        let low = [0, 1, 2].map(|k| centre[k] - half[k]);
        let high = [0, 1, 2].map(|k| centre[k] + half[k]);
        Uniform { low, high, seed }.points(0, count)
    };
    let parts = [
        // eight, far from each other: alone among random points
        (0..8u32).map(|k| [k % 2, k / 2 % 2, k / 4].map(|x| 0.08 + 0.25 * f64::from(x))).collect(),
        around(1, 400, [0.5, 0.5, 0.85], [0.5, 0.5, 0.002]),
        around(2, 250, [0.5, 0.75, 0.5], [0.5, 0.01, 0.01]),
        around(3, 1500, [0.7, 0.2, 0.4], [0.02, 0.02, 0.02]),
    ];
    let mut begins = [0; 5];
    for k in 0..4 {
        begins[k + 1] = begins[k] + parts[k].len();
    }
    (parts.concat(), begins)
}

#[test]
fn planted_structures_are_found() {
    let (galaxies, begins) = planted();
    let webs = webs(&galaxies, PERIODIC, 20);
    for (class, ends) in Class::ALL.into_iter().zip(begins.windows(2)) {
        let found = fractions(&webs[ends[0]..ends[1]]);
        assert!(found[class as usize] > 0.75, "{class:?}: {found:?}");
    }
}

#[test]
fn a_periodic_box_has_no_edge() {
    let (galaxies, _) = planted();
    // the box begins elsewhere: so does what is drawn
    let move_by = |points: &[[f64; 3]]| -> Vec<[f64; 3]> {
        points.iter().map(|point| point.map(|x| (x + 0.375).rem_euclid(1.0))).collect()
    };
    let coarse = |points: &[[f64; 3]]| -> Vec<[f64; 3]> {
        // so that moving rounds nothing
        points.iter().map(|point| point.map(|x| (x * 65536.0).floor() / 65536.0)).collect()
    };
    let galaxies = coarse(&galaxies);
    let here = classify(&galaxies, PERIODIC, 3, |k, n| coarse(&BOX.points(k, n))).expect("good");
    let there =
        classify(&move_by(&galaxies), PERIODIC, 3, |k, n| move_by(&coarse(&BOX.points(k, n))));
    let same = here.iter().zip(there.expect("good")).filter(|(one, other)| **one == *other).count();
    // points on one sphere may have other tetrahedra, since their images are in another order
    assert!(same as f64 > 0.99 * here.len() as f64, "{same} of {}", here.len());
}

#[test]
fn duplicates_have_their_class_and_flat_sets_none() {
    let mut galaxies = poisson(100);
    galaxies.push(galaxies[4]);
    let made = webs(&galaxies, Space::Open, 3);
    assert_eq!(made[100], made[4]);
    let flat = classify(&[[0.5; 3], [0.25; 3]], Space::Open, 2, |_, n| vec![[0.5; 3]; n]);
    assert_eq!(flat, Ok(vec![Web::default(); 2]));
    assert_eq!(classify(&[], Space::Open, 2, |_, _| Vec::new()), Ok(Vec::new()));
}

#[test]
fn bad_points_are_errors() {
    let wrong = classify(&poisson(9), Space::Open, 1, |_, _| Vec::new());
    assert_eq!(wrong, Err(Error::Randoms { found: 0, expected: 9 }));
    let mut outside = poisson(9);
    outside[3][2] = 1.0;
    let wrong = classify(&outside, PERIODIC, 1, |k, n| BOX.points(k, n));
    assert_eq!(wrong, Err(Error::Outside(3)));
    outside[3][2] = f64::NAN;
    let wrong = classify(&outside, Space::Open, 1, |k, n| BOX.points(k, n));
    assert!(matches!(wrong, Err(Error::Delaunay(delaunay::Error::Coordinate { index: 3, .. }))));
}
