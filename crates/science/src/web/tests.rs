//! The whole chain in one block and in many, in other sequences, ended and begun again: the same bits.

use super::*;
use crate::morse::tests::dice;
use crate::skeleton::Threshold;
use crate::work::{Make, Memory, Missing};
use rand::RngExt;
use std::collections::BTreeMap;
use std::sync::Mutex;

type Point = [f64; 3];

fn random(count: usize, seed: u64) -> Vec<Point> {
    let mut dice = dice(seed);
    (0..count).map(|_| [0; 3].map(|_| dice.random::<f64>())).collect()
}

/// Half of the points around a few of the others, from far to very near.
fn clustered(count: usize, seed: u64) -> Vec<Point> {
    let mut points = random(count, seed);
    let mut dice = dice(seed + 1);
    for at in count / 2..count {
        let width = dice.random_range(-9.0f64..-3.0).exp2();
        points[at] = points[at % 9].map(|x| x + width * dice.random_range(-1.0..1.0));
    }
    points
}

/// Points of a cone between two spheres, with sharp ends: most cells at its ends are nearly flat, and large.
fn survey(count: usize, seed: u64) -> Vec<Point> {
    let mut dice = dice(seed);
    let mut one = || {
        let far = dice.random_range(0.004f64..1.0).cbrt();
        let [ra, dec] = [0, 1].map(|_| dice.random_range(0.05f64..0.5));
        [ra.cos() * dec.cos(), ra.sin() * dec.cos(), dec.sin()].map(|x| 2800.0 * far * x)
    };
    let mut points: Vec<Point> = (0..count).map(|_| one()).collect();
    points.extend_from_within(..count / 20);
    points
}

fn sets() -> Vec<(&'static str, Vec<Point>)> {
    let grid: Vec<Point> =
        (0..729_u32).map(|k| [k % 9, k / 9 % 9, k / 81].map(f64::from)).collect();
    let mut twice = random(300, 5);
    twice.extend_from_within(50..250);
    twice.extend_from_within(100..200);
    let mut plane: Vec<Point> =
        (0..200_u8).map(|k| [f64::from(k % 20), f64::from(k / 20), 0.0]).collect();
    plane.extend([[4.5, 4.5, 1.0], [11.5, 2.5, -2.0]]);
    let mut far = clustered(400, 8);
    far.push([1e6, -3e5, 2e5]);
    vec![
        ("random", random(3000, 1)),
        ("clustered", clustered(3000, 2)),
        ("survey", survey(3000, 4)),
        ("grid", grid),
        ("twice", twice),
        ("plane and two", plane.clone()),
        ("plane", plane[..200].to_vec()),
        ("one far away", far),
        ("twelve", random(12, 6)),
        ("four", vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        ("one place", vec![[1.0; 3]; 9]),
        ("one", vec![[0.5; 3]]),
        ("none", Vec::new()),
    ]
}

fn settings(blocks: usize) -> Settings {
    let threshold = Threshold::Ratio(1.2);
    let options = Options { threshold, smooth: 1, keep_boundary: true };
    Settings { blocks, smooth_density: 1, options }
}

/// All bits of a web: numbers that are none are equal, too.
fn bits(web: &Web) -> (String, Vec<u64>) {
    let values = [&web.density, &web.dist_filament, &web.dist_node];
    let values = values.into_iter().flatten().map(|value| value.to_bits()).collect();
    (format!("{} {:?} {:?}", web.cells, web.is_boundary, web.skeleton), values)
}

fn made(points: &[Point], blocks: usize, work: &dyn Work) -> (String, Vec<u64>) {
    bits(&find(points, &settings(blocks), work, &|_| ()).expect("a web"))
}

#[test]
fn blocks_make_the_same_web() {
    for (name, points) in sets() {
        let whole = made(&points, 1, &Memory::default());
        for blocks in [2, 8, 64] {
            let made = made(&points, blocks, &Memory::default());
            assert!(made == whole, "{name}: {blocks} blocks");
        }
    }
}

#[test]
fn blocks_at_the_end_of_a_survey_want_few_points() {
    let points = survey(60_000, 7);
    let sorted: Vec<Point> = morton(&points).iter().map(|row| points[*row as usize]).collect();
    let tiles = Tiles::new(&sorted, 12);
    let boxes = crate::boxes::Boxes::new(&sorted);
    let ids: Vec<u32> = (0..sorted.len() as u32).collect();
    for block in 0..12 {
        let made = delaunay::Block::certain(&boxes, &ids, tiles.place(block, &boxes));
        let given = made.expect("cells").expect("points").given();
        assert!(given < points.len() / 3, "block {block} of 12 was given {given} points");
    }
}

/// What the kernels make of points that are in order, without blocks.
#[test]
fn the_web_is_that_of_the_kernels() {
    let points = clustered(2000, 3);
    let web = find(&points, &settings(8), &Memory::default(), &|_| ()).expect("a web");
    let rows = morton(&points);
    let sorted: Vec<Point> = rows.iter().map(|row| points[*row as usize]).collect();
    let mesh = delaunay::Delaunay::new(&sorted).expect("a mesh");
    let stars = star::Stars::new(mesh.mesh()).expect("a mesh");
    let density = Density::new(&stars, 1.0, 0).expect("densities");
    let mut smoothed = density.clone();
    smoothed.values = dtfe::smooth(&stars, &density.values).expect("densities");
    let skeleton = Skeleton::new(&stars, &smoothed, &settings(1).options).expect("a skeleton");
    assert_eq!(web.cells, mesh.mesh().cells.len() as u64);
    assert!(skeleton.filaments.len() > 20);
    assert_eq!(web.skeleton.filaments, skeleton.filaments);
    assert_eq!(web.skeleton.points, skeleton.points);
    let tree = Segments::new(&skeleton.segments()).expect("a tree");
    for (place, row) in rows.iter().enumerate() {
        let row = *row as usize;
        let known = Some(density.values[place]).filter(|value| *value > 0.0);
        assert_eq!(web.density[row].to_bits(), known.unwrap_or(f64::NAN).to_bits());
        assert_eq!(web.is_boundary[row], density.boundary[place]);
        let near = tree.nearest(points[row]).expect("a distance").distance;
        assert_eq!(web.dist_filament[row], near);
    }
}

/// Keeps all outputs, counts what was made, makes parts from the last to the first, and fails after some.
#[derive(Default)]
struct Fickle {
    kept: Mutex<BTreeMap<(String, usize), Vec<u8>>>,
    made: Mutex<usize>,
    left: Mutex<Option<usize>>,
    reverse: bool,
}

impl Work for Fickle {
    fn each(&self, step: &str, parts: usize, make: Make<'_>) -> Result<(), Failure> {
        for part in 0..parts {
            let part = if self.reverse { parts - 1 - part } else { part };
            let key = (step.to_owned(), part);
            if self.kept.lock().expect("a lock").contains_key(&key) {
                continue;
            }
            if let Some(left) = self.left.lock().expect("a lock").as_mut() {
                *left = left.checked_sub(1).ok_or("the power is out")?;
            }
            let output = make(part)?;
            *self.made.lock().expect("a lock") += 1;
            self.kept.lock().expect("a lock").insert(key, output);
        }
        Ok(())
    }

    fn read(&self, step: &str, part: usize) -> Result<Vec<u8>, Failure> {
        let found = self.kept.lock().expect("a lock").get(&(step.to_owned(), part)).cloned();
        found.ok_or_else(|| Missing { step: step.to_owned(), part }.into())
    }
}

#[test]
fn parts_in_reverse_order_make_the_same() {
    let points = clustered(2000, 4);
    let work = Fickle { reverse: true, ..Fickle::default() };
    assert!(made(&points, 8, &work) == made(&points, 1, &Memory::default()));
    assert!(made(&points, 1, &Fickle::default()) == made(&points, 1, &Memory::default()));
}

#[test]
fn what_is_ended_goes_on_and_makes_no_part_twice() {
    let points = clustered(500, 7);
    for blocks in [1, 5] {
        let all = Fickle::default();
        let expected = made(&points, blocks, &all);
        let parts = *all.made.lock().expect("a lock");
        assert!(parts >= 7 * blocks - 1, "{parts}");
        for ended in 0..parts {
            let work = Fickle { left: Mutex::new(Some(ended)), ..Fickle::default() };
            let failed = find(&points, &settings(blocks), &work, &|_| ());
            assert!(matches!(failed, Err(Error::Work(_))));
            assert_eq!(*work.made.lock().expect("a lock"), ended);
            *work.left.lock().expect("a lock") = None;
            assert!(made(&points, blocks, &work) == expected, "ended after {ended}");
            assert_eq!(*work.made.lock().expect("a lock"), parts);
        }
        let again = (made(&points, blocks, &all), *all.made.lock().expect("a lock"));
        assert!(again == (expected, parts));
    }
}

#[test]
fn what_is_torn_is_an_error() {
    let points = random(300, 1);
    let work = Fickle::default();
    made(&points, 3, &work);
    let keys: Vec<_> = work.kept.lock().expect("a lock").keys().cloned().collect();
    for key in keys.into_iter().filter(|key| !key.0.starts_with("boundaries")) {
        let whole = work.kept.lock().expect("a lock").get(&key).cloned().expect("an output");
        let torn = whole[..whole.len().saturating_sub(1)].to_vec();
        work.kept.lock().expect("a lock").insert(key.clone(), torn);
        let made = find(&points, &settings(3), &work, &|_| ());
        // a mesh is read no more when all else is there
        assert!(made.is_err() || matches!(&key.0[..], "mesh" | "gradient"), "{key:?}");
        work.kept.lock().expect("a lock").insert(key, whole);
    }
}

#[test]
fn errors_are_the_kernels_own() {
    let work = Memory::default();
    let find = |points: &[Point], settings: Settings| find(points, &settings, &work, &|_| ());
    let mut wrong = random(20, 1);
    wrong[13][1] = f64::NAN;
    let expected = |error| {
        matches!(error, Err(Error::Delaunay(delaunay::Error::Coordinate { index: 13, .. })))
    };
    assert!(expected(find(&wrong, settings(1))));
    assert!(expected(find(&wrong, settings(8))));
    let mut none = settings(1);
    none.options.threshold = Threshold::Ratio(0.5);
    assert!(matches!(find(&random(20, 1), none), Err(Error::Skeleton(_))));
}

#[test]
fn classes_are_those_of_the_whole_in_any_number_of_blocks() {
    use crate::astra::{Space, Uniform};
    let volume = Uniform { low: [0.0; 3], high: [1.0; 3], seed: 3 };
    let randoms = |realisation: u32, count: usize| volume.points(realisation, count);
    for (name, mut points) in sets() {
        points.truncate(1000);
        let expected = astra::classify(&points, Space::Open, 3, randoms).expect("classes");
        for blocks in [1, 4, 16] {
            let realisations = Realisations { count: 3, blocks };
            let made = classify(&points, realisations, &Memory::default(), &randoms);
            assert!(made.expect("classes") == expected, "{name}: {blocks} blocks");
        }
        let work = Fickle { left: Mutex::new(Some(7)), reverse: true, ..Fickle::default() };
        let realisations = Realisations { count: 3, blocks: 2 };
        assert!(classify(&points, realisations, &work, &randoms).is_err());
        *work.left.lock().expect("a lock") = None;
        let made = classify(&points, realisations, &work, &randoms).expect("classes");
        assert!(made == expected && *work.made.lock().expect("a lock") == 12, "{name}");
    }
    let few = classify(
        &random(9, 1),
        Realisations { count: 1, blocks: 2 },
        &Memory::default(),
        &|_, _| Vec::new(),
    );
    assert!(matches!(few, Err(Error::Class(astra::Error::Randoms { found: 0, expected: 9 }))));
}

#[test]
fn a_ceiling_says_how_many_blocks() {
    assert_eq!(blocks(1000, 1 << 30), Some(1));
    let counts: Vec<Option<usize>> =
        [64, 16, 8, 4, 2, 1].into_iter().map(|gib| blocks(5_000_000, gib << 30)).collect();
    assert!(counts.iter().flatten().is_sorted(), "{counts:?}");
    assert_eq!(counts[0], Some(1));
    assert!(counts[4].is_some_and(|blocks| (2..64).contains(&blocks)));
    assert_eq!(blocks(5_000_000, 1 << 20), None);
}
