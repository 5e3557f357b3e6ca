use super::*;
use crate::dtfe;
use crate::mesh::NONE;
use crate::star::Stars;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

fn random(count: usize, seed: u64) -> Vec<Point> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| [0, 1, 2].map(|_| dice.random::<f64>())).collect()
}

/// Points around centres, from far apart to very near.
fn clustered(count: usize, seed: u64) -> Vec<Point> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let centres = random(20, seed + 1);
    let mut point = |index: usize| {
        let width = dice.random_range(-9.0f64..-0.5).exp2();
        centres[index % 20].map(|centre| centre + width * dice.random_range(-1.0..1.0))
    };
    (0..count).map(&mut point).collect()
}

fn grid(side: u32) -> Vec<Point> {
    let cube = |k: u32| [k % side, k / side % side, k / side / side].map(f64::from);
    (0..side.pow(3)).map(cube).collect()
}

/// Points that no general position holds for.
fn odd_sets() -> Vec<(&'static str, Vec<Point>)> {
    let sphere = |k: i32| {
        let turns = [[3, 4, 12], [4, 12, 3], [12, 3, 4], [4, 3, 12], [3, 12, 4], [12, 4, 3]];
        let sign = |bit: i32| if k >> bit & 1 == 0 { 1 } else { -1 };
        let [x, y, z] = turns[(k / 8 % 6) as usize];
        [x * sign(0), y * sign(1), z * sign(2)].map(f64::from)
    };
    let mut twice = random(60, 4);
    twice.extend(twice.clone());
    twice.extend_from_within(20..40);
    let mut line: Vec<Point> = (0..40).map(|k| [f64::from(k), 0.0, 0.0]).collect();
    line.extend([[0.5, 1.0, 0.0], [3.0, 0.0, -2.0], [7.0, -0.0, 0.0]]);
    let mut plane: Vec<Point> =
        (0..100).map(|k| [f64::from(k % 10), f64::from(k / 10), 0.0]).collect();
    plane.push([4.5, 4.5, 1.0]);
    let skew = |k: i32| match k % 2 {
        0 => [f64::from(k), 0.0, 0.0],
        _ => [0.0, f64::from(k), 100.0],
    };
    vec![
        ("grid", grid(6)),
        ("grid with a tenth", grid(5).into_iter().map(|point| point.map(|x| 0.1 * x)).collect()),
        ("sphere", (0..48).map(sphere).collect()),
        ("twice", twice),
        ("line and three", line),
        ("plane and one", plane),
        ("two skew lines", (0..60).map(skew).collect()),
        ("far away", grid(4).into_iter().map(|point| point.map(|x| 1e9 + x)).collect()),
        ("clustered", clustered(400, 6)),
        (
            "tiny",
            random(200, 8).into_iter().map(|point| point.map(|x| 1e-39 * (1.0 + x))).collect(),
        ),
        ("huge", random(200, 9).into_iter().map(|point| point.map(|x| 9e39 * x)).collect()),
        ("four", vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    ]
}

/// What every tessellation of the points is: positive cells, of which none holds a point and that fill
/// the convex hull, with neighbours that share faces.
fn assert_valid(name: &str, made: &Delaunay<'_>) {
    let Mesh { vertices, cells, neighbours } = made.mesh();
    let at = |vertex: u32| &vertices[vertex as usize];
    assert!(!cells.is_empty(), "{name}");
    let mut is_used = vec![false; vertices.len()];
    for (id, (cell, behind)) in cells.iter().zip(neighbours).enumerate() {
        let [a, b, c, d] = cell.map(at);
        assert!(predicates::orient(a, b, c, d) > 0.0, "{name}: {cell:?} is not positive");
        cell.iter().for_each(|vertex| is_used[*vertex as usize] = true);
        for (slot, neighbour) in behind.iter().enumerate() {
            if *neighbour == NONE {
                let mut face = cell.map(|vertex| *at(vertex));
                let mut is_out = |point: &Point| {
                    face[slot] = *point;
                    let [a, b, c, d] = &face;
                    predicates::orient(a, b, c, d) < 0.0
                };
                assert!(!vertices.iter().any(&mut is_out), "{name}: a point is beyond the hull");
                continue;
            }
            let other = &cells[*neighbour as usize];
            let fourth = other.iter().position(|vertex| !cell.contains(vertex));
            let back = fourth.map(|k| neighbours[*neighbour as usize][k]);
            assert_eq!(back, Some(id as u32), "{name}: neighbours do not agree");
        }
        let coord = |[x, y, z]: &Point| robust::Coord3D { x: *x, y: *y, z: *z };
        let is_held = |point: &Point| {
            robust::insphere(coord(b), coord(a), coord(c), coord(d), coord(point)) > 0.0
        };
        assert!(!vertices.iter().any(is_held), "{name}: a sphere holds a point");
    }
    for (point, is_used) in (0..).zip(is_used) {
        assert_ne!(is_used, made.duplicate_of(point).is_some(), "{name}: point {point}");
    }
}

fn tessellation(points: &[Point]) -> Delaunay<'_> {
    let mut made = Delaunay::new(points).expect("points are good");
    made.sort();
    made
}

#[test]
fn gathered_cells_are_the_same_mesh() {
    for (name, points) in odd_sets().into_iter().chain([("random", random(5000, 12))]) {
        let mut made = Delaunay::new(&points).expect("cells");
        let mut gathered = made.clone();
        gathered.gather();
        let least = |cell: &[u32; 4]| cell.iter().copied().min();
        assert!(gathered.cells.is_sorted_by_key(least), "{name}");
        crate::star::Stars::new(gathered.mesh()).expect("a mesh");
        made.sort();
        gathered.sort();
        assert_eq!(made, gathered, "{name}");
    }
}

#[test]
fn tetrahedra_are_empty_and_fill_the_hull() {
    for (seed, count) in [5, 6, 10, 30, 100, 300].into_iter().enumerate() {
        let points = random(count, seed as u64);
        assert_valid("random", &tessellation(&points));
    }
    for (name, points) in odd_sets() {
        assert_valid(name, &tessellation(&points));
    }
}

#[test]
fn tetrahedra_do_not_depend_on_the_order_of_points() {
    for (name, points) in odd_sets() {
        let straight = tessellation(&points);
        // 7 is prime to all counts here but that of sets with a multiple of it, where 11 is
        let step = if points.len() % 7 == 0 { 11 } else { 7 };
        let shuffle = |k: usize| (k * step) % points.len();
        let shuffled: Vec<Point> = (0..points.len()).map(|k| points[shuffle(k)]).collect();
        let made = tessellation(&shuffled);
        let first = |k: u32| straight.duplicate_of(k).unwrap_or(k);
        let mut cells: Vec<[u32; 4]> =
            made.cells.iter().map(|cell| cell.map(|k| first(shuffle(k as usize) as u32))).collect();
        let mut neighbours = made.neighbours.clone();
        canonical::sort(&mut cells, &mut neighbours);
        assert!((cells, neighbours) == (straight.cells, straight.neighbours), "{name}");
    }
}

/// As [`Delaunay::new`], with small regions.
fn by_regions(points: &[Point], points_a_region: usize, threads: usize) -> Delaunay<'_> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let order = order::order(points);
    let sorted = order.indices.iter().map(|index| points[*index as usize]).collect();
    let Ok((mut build, first)) = Build::start(sorted) else { panic!("points are in a plane") };
    build.points_a_region = points_a_region;
    let made = pool.install(|| build.insert_rounds(&order.ends, first, Wanted::ALWAYS));
    made.expect("there is room");
    finish::finish(points, build, &order.indices)
}

#[test]
fn what_nobody_wants_is_given_up() {
    let points = random(60_000, 4);
    let (asked, made) = (AtomicU32::new(0), Delaunay::new(&points).expect("a mesh"));
    // wanted so often, and then no more
    let until = |last| {
        asked.store(0, Relaxed);
        let is_wanted = || asked.fetch_add(1, Relaxed) < last;
        Delaunay::while_wanted(&points, Wanted(&is_wanted))
    };
    assert!(until(u32::MAX).expect("a mesh") == made);
    assert!(asked.load(Relaxed) > 8, "it is asked while a round is inserted");
    assert_eq!(until(3).err(), Some(Error::Unwanted(Unwanted)));
    let smoothed = |last| {
        asked.store(0, Relaxed);
        let is_wanted = || asked.fetch_add(1, Relaxed) < last;
        let stars = Stars::new(made.mesh()).expect("stars");
        dtfe::smooth(&stars.while_wanted(Wanted(&is_wanted)), &vec![1.0; points.len()])
    };
    assert!(smoothed(u32::MAX).is_ok());
    assert!(asked.load(Relaxed) > 50, "it is asked for each of some cells");
    assert!(smoothed(3).is_err());
}

#[test]
fn threads_make_the_same_mesh() {
    let mut doubled = random(4000, 3);
    doubled.extend_from_within(1000..3000);
    let sets = [random(20_000, 1), clustered(20_000, 2), doubled, grid(16)];
    for points in &sets {
        let alone = tessellation(points);
        for size in [150, 1000, 5000] {
            let mut made = by_regions(points, size, 1);
            for threads in [2, 4] {
                assert!(by_regions(points, size, threads) == made, "{threads} threads");
            }
            made.sort();
            assert!(made == alone, "regions of {size} points");
        }
    }
}

/// Numbers from 0 on.
fn numbers(points: &[Point]) -> Vec<u32> {
    (0..points.len() as u32).collect()
}

/// The tessellation by `side`³ blocks, each with a buffer of a fraction of its width around it.
fn by_blocks(points: &[Point], side: u32, buffer: f64) -> Vec<(Region, Part)> {
    let ends = |k: usize| {
        let values = points.iter().map(|point| point[k]);
        (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max))
    };
    let [x, y, z] = [ends(0), ends(1), ends(2)];
    let bounds = [[x.0, y.0, z.0], [x.1, y.1, z.1]];
    let mut parts = Vec::new();
    for block in 0..side.pow(3) {
        let number = [block % side, block / side % side, block / side / side];
        let widths = [0, 1, 2].map(|k| (bounds[1][k] - bounds[0][k]) / f64::from(side));
        let edge = |k: usize, number: u32, by: f64| match number {
            0 => f64::NEG_INFINITY,
            _ if number == side => f64::INFINITY,
            _ => bounds[0][k] + widths[k] * (f64::from(number) + by),
        };
        let around = |by: f64| Region {
            low: [0, 1, 2].map(|k| edge(k, number[k], -by)),
            high: [0, 1, 2].map(|k| edge(k, number[k] + 1, by)),
        };
        let place = Place { own: around(0.0), known: around(buffer), bounds };
        let ids: Vec<u32> = numbers(points)
            .into_iter()
            .filter(|id| place.known.has(&points[*id as usize]))
            .collect();
        let at =
            |ids: &[u32]| -> Vec<Point> { ids.iter().map(|id| points[*id as usize]).collect() };
        let mut made = Block::new(&at(&ids), &ids, place).expect("points are good");
        for turn in 0.. {
            let wants = made.wants();
            if wants.is_empty() {
                break;
            }
            assert!(turn < 100, "a block is never content");
            let is_wanted = |point: &Point| wants.iter().any(|want| want.touches(point, point));
            let mut ids = numbers(points);
            ids.retain(|id| is_wanted(&points[*id as usize]));
            made.answer(&at(&ids), &ids).expect("points are good");
        }
        parts.push((place.own, made.finish().expect("all is certain")));
    }
    parts
}

/// A block's part of a whole tessellation, with the numbers of points.
fn part_of(points: &[Point], whole: &Delaunay<'_>, own: Region) -> Part {
    let is_own = |vertex: &u32| own.has(&points[*vertex as usize]);
    let has: Vec<bool> = whole.cells.iter().map(|cell| cell.iter().any(is_own)).collect();
    let mut places = vec![NONE; has.len()];
    for (place, (at, _)) in (0..).zip(has.iter().enumerate().filter(|has| *has.1)) {
        places[at] = place;
    }
    let of = |quads: &[[u32; 4]]| -> Vec<[u32; 4]> {
        quads.iter().zip(&has).filter(|(_, has)| **has).map(|(quad, _)| *quad).collect()
    };
    let behind = |cell: u32| if cell == NONE { NONE } else { places[cell as usize] };
    let neighbours = of(&whole.neighbours).into_iter().map(|four| four.map(behind)).collect();
    let mut duplicates = whole.duplicates.clone();
    duplicates.retain(|[point, _]| is_own(point));
    Part { ids: Vec::new(), cells: of(&whole.cells), neighbours, duplicates }
}

/// A part with the numbers of points, its cells in order.
fn named(mut part: Part) -> Part {
    let ids = std::mem::take(&mut part.ids);
    assert!(ids.is_sorted());
    part.cells.as_flattened_mut().iter_mut().for_each(|vertex| *vertex = ids[*vertex as usize]);
    canonical::sort(&mut part.cells, &mut part.neighbours);
    part
}

#[test]
fn blocks_make_the_same_cells() {
    let mut sets = odd_sets();
    sets.extend([
        ("random", random(1500, 1)),
        ("more clustered", clustered(1000, 2)),
        ("cube", grid(7)),
    ]);
    for (name, points) in sets {
        let alone = tessellation(&points);
        for (side, buffer) in [(1, 0.0), (2, 0.3), (3, 0.0), (4, 0.5)] {
            for (own, part) in by_blocks(&points, side, buffer) {
                let expected = part_of(&points, &alone, own);
                assert!(named(part) == expected, "{name}: {side}³ blocks");
            }
        }
        let tiles = crate::tiles::Tiles::new(&points, 8);
        let boxes = crate::boxes::Boxes::new(&points);
        for (number, own) in tiles.regions().iter().enumerate() {
            let place = tiles.place(number, &boxes);
            let part = Block::cells(&boxes, &numbers(&points), place).expect("points are good");
            assert!(named(part) == part_of(&points, &alone, *own), "{name}: tiles");
        }
    }
}

#[test]
fn a_block_that_wants_more_is_not_finished() {
    let points = random(500, 3);
    let known = Region { high: [0.5, f64::INFINITY, f64::INFINITY], ..Region::ALL };
    let place = Place { own: known, known, bounds: [[0.0; 3], [1.0; 3]] };
    let (ids, points): (Vec<u32>, Vec<Point>) =
        (0..).zip(points).filter(|(_, point)| known.has(point)).unzip();
    let mut block = Block::new(&points, &ids, place).expect("points are good");
    let wants = block.wants().len();
    assert!(wants > 0);
    assert_eq!(block.finish(), Err(Error::Uncertain(wants)));
    let numbers = Block::new(&points, &ids[1..], place).err();
    assert_eq!(numbers, Some(Error::Numbers { points: ids.len(), numbers: ids.len() - 1 }));
}

#[test]
fn points_in_a_plane_have_no_tetrahedra() {
    let line = |k: i32| [f64::from(k), 2.0 * f64::from(k), 0.5];
    let plane = |k: i32| [f64::from(k % 7), f64::from(k / 7), 3.0];
    let sets: [Vec<Point>; 6] = [
        Vec::new(),
        vec![[1.0; 3]],
        vec![[1.0; 3]; 9],
        random(3, 1),
        (0..30).map(line).collect(),
        (0..49).map(plane).collect(),
    ];
    for points in sets {
        let made = Delaunay::new(&points).expect("points are good");
        assert!(made.mesh().cells.is_empty() && made.mesh().neighbours.is_empty());
    }
    let made = Delaunay::new(&[[0.0; 3], [1.0; 3], [-0.0; 3], [1.0; 3], [1.0; 3]]).expect("good");
    assert_eq!(made.duplicates(), [[2, 0], [3, 1], [4, 1]]);
}

#[test]
fn duplicates_are_mapped_to_the_first() {
    let mut points = random(50, 2);
    points.splice(0..0, [points[30], points[30]]);
    points.push(points[7]);
    let made = Delaunay::new(&points).expect("points are good");
    assert_eq!(made.duplicates(), [[1, 0], [32, 0], [52, 7]]);
    assert_eq!([0, 1, 7, 52].map(|k| made.duplicate_of(k)), [None, Some(0), None, Some(7)]);
}

#[test]
fn coordinates_that_are_no_numbers_are_an_error() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e41, -1e300, 1e-41, 5e-324] {
        let mut points = random(20, 1);
        points[13][1] = value;
        match Delaunay::new(&points) {
            Err(Error::Coordinate { index: 13, value: found }) => {
                assert_eq!(found.to_bits(), value.to_bits());
            }
            other => panic!("{value}: {other:?}"),
        }
    }
}
