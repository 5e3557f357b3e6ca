//! Skeletons of fields whose filaments are known, and what must not change them.

use super::*;
use crate::mesh::Mesh;
use crate::morse::tests::{self, Owned, dice};
use crate::patch::Share;
use rand::RngExt;

/// Density that falls off from the segments between peaks, which are higher than the segments.
fn planted(mesh: Mesh, peaks: &[[f64; 3]], ways: &[[usize; 2]]) -> Density {
    let squared = |a: [f64; 3], b| crate::distance::squared_distance(a, b);
    let value = |&at: &[f64; 3]| {
        let way = ways.iter().map(|w| squared(at, w.map(|peak| peaks[peak])));
        let way = way.fold(f64::INFINITY, f64::min);
        let peak = peaks.iter().map(|&peak| squared(at, [peak; 2])).fold(f64::INFINITY, f64::min);
        0.01 + (-way / 4.0).exp() * (1.0 + 9.0 * (-peak / 16.0).exp())
    };
    let values: Vec<f64> = mesh.vertices.iter().map(value).collect();
    Density { boundary: vec![false; values.len()], values }
}

fn options(ratio: f64) -> Options {
    Options { threshold: Threshold::Ratio(ratio), smooth: 0, keep_boundary: true }
}

fn noise(count: usize, seed: u64) -> Density {
    let mut dice = dice(seed);
    let values: Vec<f64> = (0..count).map(|_| (2.0 * dice.random::<f64>()).exp()).collect();
    let boundary = values.iter().map(|_| dice.random::<f64>() < 0.02).collect();
    Density { values, boundary }
}

#[test]
fn filaments_run_between_planted_peaks_along_planted_ways() {
    let owned = Owned::grid([24, 24, 24], 0.4, &mut dice(3));
    let peaks = [[4.0, 4.0, 4.0], [19.0, 5.0, 6.0], [18.0, 18.0, 17.0]];
    let ways = [[0, 1], [1, 2]];
    let density = planted(owned.mesh(), &peaks, &ways);
    let stars = Stars::new(owned.mesh()).expect("a mesh");
    let skeleton = Skeleton::new(&stars, &density, &options(2.0)).expect("a skeleton");
    let of = |kind| skeleton.nodes.iter().filter(move |node| node.kind == kind);
    assert_eq!(of(Kind::Maximum).count(), 3);
    assert_eq!(of(Kind::Saddle2).count(), 2);
    // two that lead to the same peak may join before it
    assert_eq!(skeleton.filaments.len(), 4 + of(Kind::Bifurcation).count());
    for node in of(Kind::Maximum) {
        let at = owned.vertices[node.vertex as usize];
        let nearest = peaks.iter().map(|&p| crate::distance::squared_distance(at, [p; 2]));
        assert!(nearest.fold(f64::INFINITY, f64::min) < 2.0);
    }
    let ways: Vec<_> = ways.iter().map(|w| w.map(|peak| peaks[peak])).collect();
    let planted = crate::distance::Segments::new(&ways).expect("a tree");
    for &point in &skeleton.points {
        assert!(planted.nearest(point).expect("a distance").distance < 1.8);
    }
    let longest =
        skeleton.filaments.iter().max_by_key(|filament| filament.points.len()).expect("a filament");
    assert!(longest.robustness > 1.2, "{longest:?}");
    for filament in &skeleton.filaments {
        let ends = [filament.from, filament.to].map(|node| skeleton.nodes[node as usize]);
        assert!(matches!(ends[0].kind, Kind::Saddle2 | Kind::Bifurcation));
        assert!(matches!(ends[1].kind, Kind::Maximum | Kind::Bifurcation));
        assert!(filament.persistence >= 2.0);
        let line = skeleton.line(filament);
        assert_eq!(
            [line[0], line[line.len() - 1]],
            ends.map(|n| owned.vertices[n.vertex as usize])
        );
    }
}

/// The skeleton of a mesh cut into blocks, which see their own parts alone.
fn in_blocks(owned: &Owned, density: &Density, owners: &[u32], blocks: u32) -> Skeleton {
    let order = Order::descending(&density.values).expect("an order");
    let field = Field { positions: &owned.vertices, density, order: &order };
    let trace = |complex: &Complex, blocks: &[Block]| {
        let pairs = complex.pairs(blocks).expect("pairs");
        Skeleton::trace(complex, &pairs, field, &options(1.5), blocks).expect("pairs")
    };
    tests::in_blocks(owned.mesh(), &order, owners, blocks, trace).1
}

#[test]
fn the_skeleton_has_the_same_bits_in_1_8_and_64_blocks() {
    let owned = Owned::grid([16, 16, 16], 0.6, &mut dice(1));
    let density = noise(owned.vertices.len(), 2);
    let stars = Stars::new(owned.mesh()).expect("a mesh");
    let whole = Skeleton::new(&stars, &density, &options(1.5)).expect("a skeleton");
    assert!(whole.filaments.len() > 100);
    for side in [1, 2, 4] {
        let of = |k: usize| {
            (0..3).fold(0, |n, axis| n * side + [k >> 8, k >> 4 & 15, k & 15][axis] * side / 16)
        };
        let owners: Vec<u32> = (0..16 * 16 * 16).map(|k| of(k) as u32).collect();
        let blocks = (side * side * side) as u32;
        assert_eq!(in_blocks(&owned, &density, &owners, blocks), whole, "{blocks} blocks");
    }
}

#[test]
fn the_skeleton_does_not_depend_on_the_order_of_cells_or_the_number_of_threads() {
    let owned = Owned::grid([12, 12, 12], 0.6, &mut dice(1));
    let density = noise(owned.vertices.len(), 4);
    let made = |owned: &Owned, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let stars = Stars::new(owned.mesh()).expect("a mesh");
            Skeleton::new(&stars, &density, &options(1.5)).expect("a skeleton")
        })
    };
    let expected = made(&owned, 1);
    for threads in [2, 5] {
        assert_eq!(made(&owned.shuffled(&mut dice(threads as u64)), threads), expected);
    }
}

#[test]
fn lines_do_not_overlap_and_every_pass_that_is_left_has_two_ways() {
    let owned = Owned::grid([12, 12, 12], 0.6, &mut dice(5));
    let density = noise(owned.vertices.len(), 6);
    let stars = Stars::new(owned.mesh()).expect("a mesh");
    for ratio in [1.0, 1.5, 3.0, 1e9] {
        let skeleton = Skeleton::new(&stars, &density, &options(ratio)).expect("a skeleton");
        let mut pieces = std::collections::BTreeSet::new();
        let mut comes = vec![0; skeleton.nodes.len()];
        for filament in &skeleton.filaments {
            for two in skeleton.vertices[filament.points.clone()].windows(2) {
                assert!(pieces.insert([two[0].min(two[1]), two[0].max(two[1])]), "{ratio}");
            }
            comes[filament.from as usize] += 1;
            comes[filament.to as usize] += 1;
        }
        for (node, comes) in skeleton.nodes.iter().zip(comes) {
            match node.kind {
                Kind::Saddle2 => assert!(comes >= 2),
                Kind::Bifurcation => assert!(comes >= 3),
                Kind::Minimum | Kind::Saddle1 => assert_eq!(comes, 0),
                Kind::Maximum => {}
            }
            assert!(node.kind == Kind::Bifurcation || node.persistence >= ratio);
        }
    }
}

#[test]
fn what_touches_the_boundary_is_left_out_if_not_asked_for() {
    let owned = Owned::grid([12, 12, 12], 0.6, &mut dice(7));
    let density = noise(owned.vertices.len(), 8);
    let stars = Stars::new(owned.mesh()).expect("a mesh");
    let all = Skeleton::new(&stars, &density, &options(1.5)).expect("a skeleton");
    let inner = Options { keep_boundary: false, ..options(1.5) };
    let inner = Skeleton::new(&stars, &density, &inner).expect("a skeleton");
    assert_eq!(inner.nodes.len(), all.nodes.iter().filter(|node| !node.boundary).count());
    assert_eq!(inner.filaments.len(), all.filaments.iter().filter(|line| !line.boundary).count());
    assert!(inner.filaments.len() < all.filaments.len());
    for filament in &inner.filaments {
        let ends = [filament.from, filament.to].map(|node| inner.nodes[node as usize].vertex);
        let line = &inner.vertices[filament.points.clone()];
        assert_eq!(ends, [line[0], line[line.len() - 1]]);
    }
}

#[test]
fn smoothing_keeps_ends_and_straightens() {
    let mut line = [[0.0; 3], [1.0, 3.0, 0.0], [2.0, 0.0, 0.0]];
    smooth(&mut line);
    assert_eq!(line, [[0.0; 3], [1.0, 1.0, 0.0], [2.0, 0.0, 0.0]]);
}

#[test]
fn density_is_that_of_volumes_and_has_the_same_bits_in_parts() {
    let owned = Owned::grid([9, 9, 9], 0.4, &mut dice(9));
    let stars = Stars::new(owned.mesh()).expect("a mesh");
    let density = Density::new(&stars, 2.0, 0).expect("densities");
    // inside, the cells of a shaken grid fill space: each point has on average its cube
    let inner: Vec<usize> = (0..729).filter(|&v| density.values[v] > 0.0).collect();
    assert_eq!(inner.len(), 7 * 7 * 7);
    let mean = inner.iter().map(|&v| 2.0 / density.values[v]).sum::<f64>() / 343.0;
    assert!((mean - 1.0).abs() < 0.02, "{mean}");
    assert_eq!(density.boundary.iter().filter(|&&flag| !flag).count(), 5 * 5 * 5);
    let shuffled = owned.shuffled(&mut dice(1));
    assert_eq!(
        Density::new(&Stars::new(shuffled.mesh()).expect("a mesh"), 2.0, 0).expect("a mesh"),
        density
    );
    let owners: Vec<u32> = (0..729).map(|v| v % 7).collect();
    let extent = dtfe::extent(&owned.vertices).expect("an extent");
    let mut flags = vec![false; 729];
    for number in 0..7 {
        let patch = Patch::cut(owned.mesh(), Share { number, owners: &owners });
        let made = Density::within(&patch.stars().expect("a mesh"), extent, 2.0).expect("a mesh");
        for ((at, value), flag) in (0..).zip(made.values).zip(made.boundary) {
            let id = patch.id(at) as usize;
            let expected = if owners[id] == number { density.values[id] } else { 0.0 };
            assert_eq!(value.to_bits(), expected.to_bits());
            flags[id] |= flag;
        }
    }
    assert_eq!(flags, density.boundary);
}

#[test]
fn smoothed_density_is_the_mean_of_neighbours_that_are_not_on_the_hull() {
    let owned = Owned::grid([4, 4, 4], 0.0, &mut dice(9));
    let stars = Stars::new(owned.mesh()).expect("a mesh");
    let raw = Density::new(&stars, 1.0, 0).expect("densities");
    assert!(raw.values.iter().all(|&value| value == 0.0 || (value - 1.0).abs() < 1e-12));
    let mut values = raw.values;
    values[21] = 9.0;
    let smoothed = crate::dtfe::smooth(&stars, &values).expect("values");
    // of the 8 inner vertices, the one at (1, 1, 1) has the 7 others for neighbours
    assert!((smoothed[21] - 2.0).abs() < 1e-12, "{}", smoothed[21]);
    assert_eq!(smoothed[0], 0.0);
}

#[test]
fn bad_input_is_refused_and_dull_input_has_a_dull_answer() {
    let mut owned = Owned::grid([4, 4, 4], 0.2, &mut dice(9));
    let stars = Stars::new(owned.mesh()).expect("a mesh");
    let with = |value: f64| Density { values: vec![value; 64], boundary: vec![false; 64] };
    for wrong in [f64::NAN, f64::INFINITY, -1.0] {
        let refused = Skeleton::new(&stars, &with(wrong), &options(2.0));
        assert!(matches!(refused, Err(Error::Negative(0))), "{wrong}");
    }
    for flat in [0.0, 1.0] {
        let skeleton = Skeleton::new(&stars, &with(flat), &options(2.0)).expect("a skeleton");
        assert_eq!(skeleton.filaments, []);
        assert_eq!(skeleton.nodes.len(), 1);
    }
    let few = Density { values: vec![1.0; 3], boundary: vec![false; 3] };
    assert!(Skeleton::new(&stars, &few, &options(2.0)).is_err());
    let nothing = Owned::default();
    let stars = Stars::new(nothing.mesh()).expect("a mesh");
    let density = Density::new(&stars, 1.0, 2).expect("densities");
    let skeleton = Skeleton::new(&stars, &density, &options(2.0)).expect("a skeleton");
    assert_eq!(skeleton, Skeleton::default());
    owned.vertices[7][1] = f64::NAN;
    let refused = Density::new(&Stars::new(owned.mesh()).expect("a mesh"), 1.0, 0);
    assert_eq!(refused, Err(dtfe::Error::Flat(7)));
    owned.vertices.fill([1.0; 3]);
    let refused = Density::new(&Stars::new(owned.mesh()).expect("a mesh"), 1.0, 0);
    assert_eq!(refused, Err(dtfe::Error::Flat(21)));
}
