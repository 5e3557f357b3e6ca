//! Points shared among blocks of space with as many points each.

use crate::boxes::Boxes;
use crate::delaunay::{Place, Region};

/// How many mean distances of a block's points around it are given to it from the beginning.
const BUFFER: f64 = 3.0;

/// Disjoint boxes that all of space is in.
#[derive(Debug, Clone, PartialEq)]
pub struct Tiles {
    regions: Vec<Region>,
    sizes: Vec<usize>,
    owners: Vec<u32>,
}

impl Tiles {
    /// Halves space between as many points on either side, along the longest side of the box around them,
    /// until there are so many blocks (at least one). 8 bytes a point while it is done, 4 of them stay.
    /// Points that cannot be told apart are in one block, so that others may be empty.
    #[must_use]
    pub fn new(points: &[[f64; 3]], count: usize) -> Self {
        let mut rows: Vec<u32> = (0..points.len() as u32).collect();
        let mut blocks = vec![(Region::ALL, 0); count.max(1)];
        share(points, &mut rows, &mut blocks);
        let mut owners = vec![0; points.len()];
        let mut rest = &rows[..];
        for (block, (_, size)) in (0..).zip(&blocks) {
            let (own, others) = rest.split_at(*size);
            own.iter().for_each(|row| owners[*row as usize] = block);
            rest = others;
        }
        let (regions, sizes) = blocks.into_iter().unzip();
        Self { regions, sizes, owners }
    }

    /// The blocks.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The block of each point.
    #[must_use]
    pub fn owners(&self) -> &[u32] {
        &self.owners
    }

    /// Where a block is among points that are spread as those that it was made of.
    pub(crate) fn place(&self, block: usize, boxes: &Boxes<'_>) -> Place {
        let own = self.regions[block];
        let bounds = boxes.bounds();
        let [low, high] = bounds;
        let side = |k: usize| (own.high[k].min(high[k]) - own.low[k].max(low[k])).max(0.0);
        let volume = side(0) * side(1) * side(2);
        let buffer = BUFFER * (volume / self.sizes[block].max(1) as f64).cbrt();
        let known = Region { low: own.low.map(|x| x - buffer), high: own.high.map(|x| x + buffer) };
        Place { own, known, bounds }
    }
}

/// Cuts the first block, in which the points of `rows` are, into as many as there are places for. A block
/// is a region and a number of points.
fn share(points: &[[f64; 3]], rows: &mut [u32], blocks: &mut [(Region, usize)]) {
    let count = blocks.len();
    let [(first, size), rest @ ..] = blocks else { return };
    if rest.is_empty() {
        *size = rows.len();
        return;
    }
    let (mut low, mut high) = (*first, *first);
    let half = count / 2;
    let (axis, value) = cut(points, rows, rows.len() * half / count);
    (low.high[axis], high.low[axis]) = (value, value);
    let middle = partition(rows, |row| points[*row as usize][axis] < value);
    let (low_rows, high_rows) = rows.split_at_mut(middle);
    let (lows, highs) = blocks.split_at_mut(half);
    (lows[0].0, highs[0].0) = (low, high);
    rayon::join(|| share(points, low_rows, lows), || share(points, high_rows, highs));
}

/// On which axis, and where, `below` of some points are cut off.
fn cut(points: &[[f64; 3]], rows: &mut [u32], below: usize) -> (usize, f64) {
    let at = |row: u32, axis: usize| points[row as usize][axis];
    let side = |axis: &usize| {
        let all = rows.iter().map(|row| at(*row, *axis));
        let ends = all
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| [low.min(x), high.max(x)]);
        ends[1] - ends[0]
    };
    let sides = [0, 1, 2].map(|axis| side(&axis));
    let axis = (0..3).max_by(|a, b| sides[*a].total_cmp(&sides[*b])).unwrap_or(0);
    if rows.is_empty() {
        return (axis, 0.0);
    }
    let order = |a: &u32, b: &u32| at(*a, axis).total_cmp(&at(*b, axis));
    let value = at(*rows.select_nth_unstable_by(below, order).1, axis);
    if rows[..below].iter().any(|row| at(*row, axis) < value) {
        return (axis, value);
    }
    // none is below: the next greater one cuts those off that are equal
    let above = rows.iter().map(|row| at(*row, axis)).filter(|x| *x > value);
    (axis, above.reduce(f64::min).unwrap_or(value))
}

/// Brings those that are low before the others, and says how many they are.
fn partition(rows: &mut [u32], is_low: impl Fn(&u32) -> bool) -> usize {
    let mut lows = 0;
    for at in 0..rows.len() {
        if is_low(&rows[at]) {
            rows.swap(lows, at);
            lows += 1;
        }
    }
    lows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_as_many_points_and_all_of_them() {
        let points: Vec<[f64; 3]> = (0..1000_u32)
            .map(|k| [k * 7919 % 1009, k * 104_729 % 997, k * 31 % 11].map(f64::from))
            .collect();
        for count in [1, 2, 3, 7, 8, 64, 1000] {
            let tiles = Tiles::new(&points, count);
            assert_eq!(tiles.regions().len(), count);
            let mut sizes = vec![0; count];
            for (point, owner) in points.iter().zip(tiles.owners()) {
                let having = tiles.regions().iter().filter(|region| region.has(point)).count();
                assert_eq!(having, 1);
                assert!(tiles.regions()[*owner as usize].has(point));
                sizes[*owner as usize] += 1;
            }
            if count <= 64 {
                let fair = 1000 / count;
                assert!(sizes.iter().all(|size| *size <= 2 * fair + 2), "{count}: {sizes:?}");
            }
        }
    }

    #[test]
    fn planes_duplicates_and_nothing_do_no_harm() {
        for points in [vec![], vec![[1.0; 3]], vec![[2.0; 3]; 50], vec![[f64::NAN; 3]; 3]] {
            let tiles = Tiles::new(&points, 8);
            assert_eq!((tiles.regions().len(), tiles.owners().len()), (8, points.len()));
        }
        let plane: Vec<[f64; 3]> =
            (0..100_u8).map(|k| [f64::from(k % 10), f64::from(k / 10), 0.0]).collect();
        let tiles = Tiles::new(&plane, 4);
        for block in 0..4 {
            assert!(tiles.owners().iter().filter(|owner| **owner == block).count() >= 20);
        }
        // half of the points at one place
        let mut half = vec![[0.0; 3]; 50];
        half.extend((1..=50_u8).map(|k| [f64::from(k), 0.0, 0.0]));
        assert_eq!(Tiles::new(&half, 2).owners()[..50], [0; 50]);
    }
}
