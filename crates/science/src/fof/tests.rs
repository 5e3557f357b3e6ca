use super::lengths::Recipe;
use super::*;
use crate::cosmology::{Cosmology, direction};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A sample that owns its arrays.
#[derive(Default, Clone)]
struct Sky {
    ra: Vec<f64>,
    dec: Vec<f64>,
    distance: Vec<f64>,
    across: Vec<f64>,
    along: Vec<f64>,
}

impl Sky {
    fn push(&mut self, ra: f64, dec: f64, distance: f64, across: f64, along: f64) {
        self.ra.push(ra);
        self.dec.push(dec);
        self.distance.push(distance);
        self.across.push(across);
        self.along.push(along);
    }

    fn galaxies(&self) -> Galaxies<'_> {
        let Self { ra, dec, distance, across, along } = self;
        Galaxies { ra_deg: ra, dec_deg: dec, distance, across, along }
    }

    fn rows(&self, rows: &[u32]) -> Self {
        let mut part = Self::default();
        for row in rows.iter().map(|row| *row as usize) {
            let [ra, dec, distance] = [self.ra[row], self.dec[row], self.distance[row]];
            part.push(ra, dec, distance, self.across[row], self.along[row]);
        }
        part
    }

    /// All links, pair by pair, with the words of the definition.
    fn pairs(&self) -> Vec<[u32; 2]> {
        let places: Vec<_> =
            self.ra.iter().zip(&self.dec).map(|(ra, dec)| direction(*ra, *dec)).collect();
        let mut found = Vec::new();
        for i in 0..self.ra.len() {
            for j in i + 1..self.ra.len() {
                let chord: f64 = (0..3).map(|k| (places[i][k] - places[j][k]).powi(2)).sum();
                let across = (self.across[i] + self.across[j]) * 0.5;
                let along = (self.along[i] + self.along[j]) * 0.5;
                let depth = (self.distance[i] - self.distance[j]).abs();
                let is_placed = self.distance[i].min(self.distance[j]) > 0.0;
                if is_placed && chord <= across * across && depth <= along {
                    found.push([i as u32, j as u32]);
                }
            }
        }
        found
    }
}

/// The smallest row that each is connected to, by passes over the links until nothing changes.
fn spread(rows: usize, links: &[[u32; 2]]) -> Vec<u32> {
    let mut first: Vec<u32> = (0..rows as u32).collect();
    loop {
        let before = first.clone();
        for [a, b] in links.iter().map(|pair| pair.map(|row| row as usize)) {
            let least = first[a].min(first[b]);
            (first[a], first[b]) = (least, least);
        }
        if first == before {
            return first;
        }
    }
}

/// A set at random: around a pole, across RA 0, over the sky or in a point; some galaxies twice, lengths
/// from nothing to half of the sample.
fn set(dice: &mut ChaCha8Rng) -> Sky {
    let count = dice.random_range(0..90);
    let spread = 10_f64.powf(dice.random_range(-3.0..1.0));
    let centre = [(0.0, 90.0), (0.0, -90.0), (0.0, 0.0), (359.9999, 40.0), (180.0, -20.0)]
        [dice.random_range(0..5)];
    let is_everywhere = dice.random_bool(0.2);
    let [across, along] =
        [spread.to_radians(), 100.0].map(|x| x * dice.random_range(0.0..0.7_f64).powi(2));
    let mut sky = Sky::default();
    for row in 0..count {
        if row > 0 && dice.random_bool(0.1) {
            let twin = sky.rows(&[dice.random_range(0..row) as u32]);
            let along = if dice.random_bool(0.5) { twin.along[0] } else { 0.0 };
            sky.push(twin.ra[0], twin.dec[0], twin.distance[0], twin.across[0], along);
            continue;
        }
        let (ra, dec): (f64, f64) = if is_everywhere {
            (dice.random_range(-720.0..720.0), dice.random_range(-1.0..1.0_f64).asin().to_degrees())
        } else {
            let dec: f64 = centre.1 + spread * dice.random_range(-1.0..1.0);
            // over the pole, to the other side
            let ra = if dec.abs() > 90.0 { 180.0 } else { centre.0 };
            let dec = if dec.abs() > 90.0 { dec.signum() * 180.0 - dec } else { dec };
            let width = if centre.1.abs() == 90.0 { 180.0 } else { spread };
            (ra + width * dice.random_range(-1.0..1.0), dec)
        };
        let lengths = [across, along].map(|length| length * dice.random_range(0.2..3.0));
        sky.push(ra, dec, dice.random_range(100.0..200.0), lengths[0], lengths[1]);
    }
    sky
}

#[test]
fn groups_are_those_of_all_pairs_on_a_thousand_sets() {
    let mut dice = ChaCha8Rng::seed_from_u64(6);
    let (mut linked, mut alone) = (0, 0);
    for number in 0..1000 {
        let sky = set(&mut dice);
        let pairs = sky.pairs();
        let first = spread(sky.ra.len(), &pairs);
        assert_eq!(links(sky.galaxies()).expect("links"), pairs, "set {number}");
        assert_eq!(count_links(sky.galaxies()), Ok(pairs.len() as u64), "set {number}");
        assert_eq!(link(sky.galaxies()).expect("groups").first(), first, "set {number}");
        linked += pairs.len();
        alone += sky.ra.len();
    }
    assert!(linked > 10_000 && alone > 10_000, "{linked} links of {alone} galaxies try nothing");
}

#[test]
fn isotropic_groups_are_those_of_all_pairs() {
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    for number in 0..300 {
        let count = dice.random_range(0..120);
        // on a grid, so that some are as far apart as the length, and some in one place
        let is_grid = dice.random_bool(0.3);
        let mut place = || {
            let x: f64 = dice.random_range(-4.0..4.0);
            if is_grid { x.round() } else { x }
        };
        let positions: Vec<[f64; 3]> = (0..count).map(|_| [place(), place(), place()]).collect();
        let length = if is_grid { 1.0 } else { 0.9 };
        let mut pairs = Vec::new();
        for (i, a) in positions.iter().enumerate() {
            for (j, b) in positions.iter().enumerate().skip(i + 1) {
                let square: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
                if square <= length * length {
                    pairs.push([i as u32, j as u32]);
                }
            }
        }
        let found = link_isotropic(&positions, length).expect("groups");
        assert_eq!(found.first(), spread(positions.len(), &pairs), "set {number}");
    }
}

/// Galaxies in clumps, some on their own, over a part of the sky about RA 0.
fn clumps(count: usize, seed: u64) -> Sky {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut sky = Sky::default();
    let mut centre = [0.0; 3];
    for row in 0..count {
        if row == 0 || dice.random_bool(0.3) {
            let ra = dice.random_range(-10.0..10.0);
            centre = [ra, dice.random_range(-10.0..10.0), dice.random_range(200.0..900.0)];
        }
        let [ra, dec, distance] = centre;
        let [x, y] = [0, 1].map(|_| dice.random_range(-0.15..0.15));
        let across = 0.4 / distance * dice.random_range(0.7..1.5);
        sky.push(ra + x, dec + y, distance + dice.random_range(-6.0..6.0), across, 7.0);
    }
    sky
}

#[test]
fn groups_are_the_same_for_any_threads_and_any_order_of_rows() {
    let sky = clumps(30_000, 1);
    let groups = link(sky.galaxies()).expect("groups");
    let pairs = links(sky.galaxies()).expect("links");
    assert!(groups.first() == spread(30_000, &pairs), "groups are not those of the links");
    for threads in [1, 2, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        assert_eq!(
            pool.install(|| link(sky.galaxies())).expect("groups"),
            groups,
            "{threads} threads"
        );
    }
    let ids: Vec<i64> = (0..30_000).map(|row| (row * 7919) % 30_011 - 15_000).collect();
    let of = groups.group_ids(&ids).expect("ids");
    let mut rows: Vec<u32> = (0..30_000).collect();
    rows.sort_by_key(|row| (*row as u64 * 48_271) % 30_011);
    let turned: Vec<i64> = rows.iter().map(|row| ids[*row as usize]).collect();
    let again = link(sky.rows(&rows).galaxies()).expect("groups").group_ids(&turned).expect("ids");
    for (place, row) in rows.iter().enumerate() {
        assert_eq!(again[place], of[*row as usize]);
    }
}

#[test]
fn blocks_with_margins_have_the_groups_of_the_whole() {
    let sky = clumps(20_000, 2);
    let whole = link(sky.galaxies()).expect("groups");
    let [chord, depth] = margin(sky.galaxies());
    let reach = (2.0 * (0.5 * chord).asin()).to_degrees() / 10_f64.to_radians().cos();
    let mut largest = 0;
    for cuts in [1, 2, 5] {
        let mut blocks = Blocks::new(20_000).expect("blocks");
        // the last blocks first
        for number in (0..cuts * cuts * cuts).rev() {
            let part = |value: f64, low: f64, width: f64, index: i32, reach: f64| {
                let size = width / f64::from(cuts);
                let from = low + f64::from(index) * size;
                (from - reach..=from + size + reach).contains(&value)
            };
            let index = [number % cuts, number / cuts % cuts, number / cuts / cuts];
            let is_in = |row: &u32| {
                let row = *row as usize;
                part(sky.ra[row], -10.2, 20.4, index[0], reach)
                    && part(sky.dec[row], -10.2, 20.4, index[1], reach)
                    && part(sky.distance[row], 190.0, 720.0, index[2], depth)
            };
            let rows: Vec<u32> = (0..20_000).filter(is_in).collect();
            let part = link(sky.rows(&rows).galaxies()).expect("groups");
            blocks.add(&rows, &part).expect("a block");
        }
        assert!(blocks.finish() == whole, "{cuts} cuts");
        largest = largest.max(whole.sizes().into_iter().max().unwrap_or(0));
    }
    assert!(largest > 5, "groups of {largest} are not cut by blocks");
}

#[test]
fn what_blocks_cannot_have_is_refused() {
    let one = link(clumps(3, 1).galaxies()).expect("groups");
    let mut blocks = Blocks::new(2).expect("blocks");
    assert_eq!(blocks.add(&[0, 1, 2], &one), Err(Error::Row { row: 2, rows: 2 }));
    assert!(matches!(blocks.add(&[0, 1], &one), Err(Error::Length { .. })));
    assert_eq!(blocks.finish().first(), [NONE, NONE]);
}

#[test]
fn dense_samples_are_linked_without_looking_at_each_pair() {
    // a pair at a time, these would be 10^10 to 10^11 links
    let count = 300_000;
    let mut sky = Sky::default();
    let mut dice = ChaCha8Rng::seed_from_u64(8);
    for row in 0..count {
        // a third in one point, a third in a clump, and both just out of another clump's reach
        let (ra, distance) = match row % 3 {
            0 => (0.0, 500.0),
            1 => (1.0 + dice.random_range(0.0..0.1), 500.0 + dice.random_range(0.0..1.0)),
            _ => (2.2 + dice.random_range(0.0..0.1), 500.0 + dice.random_range(0.0..1.0)),
        };
        sky.push(ra, 0.0, distance, 0.9_f64.to_radians(), 5.0);
    }
    let groups = link(sky.galaxies()).expect("groups");
    for (row, first) in groups.first().iter().enumerate() {
        assert_eq!(*first as usize, row % 3, "row {row}");
    }
    let points = vec![[1e9, -1e9, 3.0]; count];
    assert!(link_isotropic(&points, 0.0).expect("groups").first().iter().all(|first| *first == 0));
}

#[test]
fn far_outliers_do_not_spoil_the_tree() {
    let mut dice = ChaCha8Rng::seed_from_u64(9);
    let mut positions: Vec<[f64; 3]> =
        (0..100_000).map(|_| [0; 3].map(|_: i32| dice.random_range(0.0..100.0))).collect();
    let alone = link_isotropic(&positions, 1.0).expect("groups");
    positions.extend([[1e9, 0.0, 0.0], [-1e9, 1e9, 1e300], [f64::NAN, 0.0, 0.0]]);
    let found = link_isotropic(&positions, 1.0).expect("groups");
    assert!(&found.first()[..100_000] == alone.first());
    assert_eq!(&found.first()[100_000..], [100_000, 100_001, NONE]);
    let sizes = alone.sizes();
    assert!(sizes.contains(&1) && sizes.iter().any(|size| *size > 3));
}

#[test]
fn rows_without_a_place_are_in_no_group() {
    let mut sky = Sky::default();
    for (ra, dec, distance, across, along) in [
        (f64::NAN, 0.0, 100.0, 1.0, 1.0),
        (0.0, 90.5, 100.0, 1.0, 1.0),
        (0.0, 0.0, 0.0, 1.0, 1.0),
        (0.0, 0.0, -5.0, 1.0, 1.0),
        (0.0, 0.0, f64::INFINITY, 1.0, 1.0),
        (0.0, 0.0, 100.0, -1.0, 1.0),
        (0.0, 0.0, 100.0, 1.0, f64::NAN),
        (1e9, 0.0, 1e9, 1.0, 1.0),
        (0.0, 0.0, 100.0, 1.0, 1.0),
    ] {
        sky.push(ra, dec, distance, across, along);
    }
    let groups = link(sky.galaxies()).expect("groups");
    assert_eq!(groups.first(), [NONE, NONE, NONE, NONE, NONE, NONE, NONE, 7, 8]);
    assert_eq!(groups.sizes(), [0, 0, 0, 0, 0, 0, 0, 1, 1]);
    assert_eq!(groups.group_ids(&[5; 9]), Ok(vec![None; 9]));
    assert!(groups.members(2).is_empty());
    assert_eq!(link(Sky::default().galaxies()).expect("groups").first(), [0_u32; 0]);
    assert_eq!(link_isotropic(&[], 1.0).expect("groups").first(), [0_u32; 0]);
    assert_eq!(link_isotropic(&[[0.0; 3]], 1.0).expect("groups").first(), [0]);
    assert_eq!(link_isotropic(&[[0.0; 3]], -1.0), Err(Error::LinkingLength(-1.0)));
    let short = Galaxies { along: &[1.0], ..sky.galaxies() };
    assert!(matches!(link(short), Err(Error::Length { expected: 9, found: 1, .. })));
}

#[test]
fn a_groups_identifier_is_the_smallest_of_its_members() {
    let positions = [0.0, 9.0, 0.5, 20.0, 9.5, 1.0].map(|x| [x, 0.0, 0.0]);
    let groups = link_isotropic(&positions, 0.5).expect("groups");
    assert_eq!(groups.first(), [0, 1, 0, 3, 1, 0]);
    let ids = groups.group_ids(&[7, -2, 5, 1, 3, 6]).expect("ids");
    assert_eq!(ids, [Some(5), Some(-2), Some(5), None, Some(-2), Some(5)]);
    let members = groups.members(2);
    assert_eq!(members.iter().collect::<Vec<_>>(), [&[0, 2, 5][..], &[1, 4]]);
    assert_eq!(groups.members(3).len(), 1);
    assert_eq!(groups.members(1).len(), 3);
    assert!(groups.group_ids(&[1]).is_err());
    assert_eq!(Components::of_groups(&ids), Ok(groups));
}

#[test]
fn links_are_those_of_nessie_whatever_the_completeness() {
    let cosmology = Cosmology::flat(0.7, 0.3).expect("a cosmology");
    let mut dice = ChaCha8Rng::seed_from_u64(11);
    let mut sky = clumps(20_000, 3);
    let z: Vec<f64> = sky.distance.iter().map(|far| cosmology.redshift(*far)).collect();
    // a survey with holes: the completeness falls from pass to pass, and is another for each galaxy
    let completeness: Vec<f64> = (0..z.len())
        .map(|row| (0.2 + 0.8 * (sky.ra[row] + 11.0) / 22.0) * dice.random_range(0.7..1.0))
        .collect();
    let density = vec![4e-3; z.len()];
    let mut counts = Vec::new();
    for parts in [&[1.0][..], &completeness] {
        let lengths = Recipe::default().lengths(&cosmology, &z, &density, parts).expect("lengths");
        (sky.across, sky.along) = (lengths.across, lengths.along);
        let theirs = fof::link_finder::find_links(
            sky.ra.clone(),
            sky.dec.clone(),
            sky.distance.clone(),
            sky.across.clone(),
            sky.along.clone(),
        );
        let mut theirs: Vec<[u32; 2]> =
            theirs.into_iter().map(|(a, b)| [a.min(b) as u32, a.max(b) as u32]).collect();
        theirs.sort_unstable();
        assert!(links(sky.galaxies()).expect("links") == theirs, "{} links", theirs.len());
        counts.push(theirs.len());
    }
    assert!(counts[0] > 1000 && counts[1] > counts[0] * 5 / 4, "{counts:?}");
}

#[test]
fn linking_lengths_are_those_of_the_definition() {
    let cosmology = Cosmology::flat(0.7, 0.3).expect("a cosmology");
    let recipe = Recipe { largest_halo: f64::INFINITY, ..Recipe::default() };
    let found =
        recipe.lengths(&cosmology, &[0.1, 0.3], &[1e-3, 8e-3], &[1.0, 0.125]).expect("lengths");
    for (row, z) in [0.1_f64, 0.3].into_iter().enumerate() {
        let expansion = (0.3 * (1.0 + z).powi(3) + 0.7).sqrt();
        // 1 / cbrt(1e-3) = 10 Mpc in both
        let across = 0.05 * 10.0 / cosmology.distance(z);
        let along = 0.05 * 10.0 * 18.0 * (1.0 + z) / expansion;
        assert!((found.across[row] / across - 1.0).abs() < 1e-12);
        assert!((found.along[row] / along - 1.0).abs() < 1e-7);
    }
    // a sparse sample meets the caps: R200 of 10^15 suns at z = 0.1 is about 2.0 Mpc, √(2GM/R) about 2,100 km/s
    let capped = Recipe::default().lengths(&cosmology, &[0.1], &[1e-9], &[1.0]).expect("lengths");
    let radius = capped.across[0] * cosmology.distance(0.1);
    assert!((2.0..2.4).contains(&radius), "{radius}");
    assert!((29.0..33.0).contains(&capped.along[0]), "{}", capped.along[0]);
    let odd =
        Recipe::default().lengths(&cosmology, &[0.0, -1.0, f64::NAN, 0.1], &[1e-3; 4], &[1.0]);
    assert!(odd.expect("lengths").across[..3].iter().all(|length| length.is_nan()));
    assert!(Recipe::default().lengths(&cosmology, &[0.1; 2], &[1e-3; 2], &[1.0; 3]).is_err());
}
