//! Covers: sorted order-29 ranges, apart from each other, that hold at least a part of the sky.

use super::cells::centre;
use super::vector::{Vector, angle, vector_of};
use super::{ORDER, range_of};
use std::f64::consts::PI;
use std::ops::Range;
use std::sync::LazyLock;

/// Added to every circle, radians: rounding must never lose a position on an edge.
pub(super) const HAIR: f64 = 1e-9;
/// Every cell of order 29.
const ALL: i64 = 12 << (2 * ORDER);

/// A circle on the sky, around a cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circle {
    pub(super) centre: Vector,
    /// Order of the cell.
    pub(super) order: u8,
    pub(super) radius: f64,
}

/// How far a cell of each order reaches from its centre at most, radians. Crates have finer figures
/// that depend on the declination; but those that were tried are a few percent too small for some
/// cells, from which a cover would leave out positions.
static REACH: LazyLock<[f64; ORDER as usize + 1]> = LazyLock::new(|| {
    std::array::from_fn(|order| {
        // the cells that stretch farthest: at the ends of the belt around the equator
        let side = (1u64 << order) as f64;
        let (centre, corner) = (2.0 / 3.0, 1.0 - (1.0 - 1.0 / side).powi(2) / 3.0);
        let at = |sine: f64, lon: f64| vector_of(lon, sine.asin());
        angle(at(centre, PI / (4.0 * side)), at(corner, 0.0)) * (1.0 + 1e-6) + HAIR
    })
});

/// How far a cell of an order reaches from its centre at most, radians.
pub(super) fn reach(order: u8) -> f64 {
    REACH[usize::from(order)]
}

impl Circle {
    /// The circle around a cell, with all of its edges inside.
    pub(super) fn around_cell(order: u8, cell: u64) -> Self {
        Self { centre: centre(order, cell), order, radius: reach(order) }
    }

    /// Right ascension (from 0) and declination of its centre, degrees.
    pub(super) fn position_deg(&self) -> (f64, f64) {
        let [x, y, z] = self.centre;
        (y.atan2(x).to_degrees().rem_euclid(360.0), z.atan2(x.hypot(y)).to_degrees())
    }

    /// Half the span of the right ascensions of a circle around that declination; 180 where a pole
    /// is inside.
    pub(super) fn half_width_deg(&self, dec_deg: f64) -> f64 {
        if dec_deg.abs() + self.radius.to_degrees() >= 90.0 {
            return 180.0;
        }
        let sine = self.radius.sin() / dec_deg.to_radians().cos();
        sine.min(1.0).asin().to_degrees()
    }
}

/// How a circle lies to a part of the sky.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lies {
    Outside,
    /// Or so near to an edge that it cannot be told.
    Across,
    Inside,
}

/// Cells of an order, and larger ones, that cover what circles lie across and inside of.
pub(super) fn cover(order: u8, lies: &impl Fn(&Circle) -> Lies) -> Vec<Range<i64>> {
    let mut ranges = Vec::new();
    for cell in 0..12 {
        descend(order, (0, cell), lies, &mut ranges);
    }
    ranges
}

fn descend(
    deepest: u8,
    (order, cell): (u8, u64),
    lies: &impl Fn(&Circle) -> Lies,
    ranges: &mut Vec<Range<i64>>,
) {
    match lies(&Circle::around_cell(order, cell)) {
        Lies::Outside => {}
        Lies::Across if order < deepest => {
            for part in 4 * cell..4 * cell + 4 {
                descend(deepest, (order + 1, part), lies, ranges);
            }
        }
        _ => append(ranges, range_of(order, cell)),
    }
}

/// Adds a range that starts where the last one starts, or later.
pub(super) fn append(ranges: &mut Vec<Range<i64>>, next: Range<i64>) {
    match ranges.last_mut() {
        Some(last) if next.start <= last.end => last.end = last.end.max(next.end),
        _ => ranges.push(next),
    }
}

/// What two covers have in common.
pub(super) fn meet(a: &[Range<i64>], b: &[Range<i64>]) -> Vec<Range<i64>> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut both = Vec::new();
    while let (Some(one), Some(other)) = (a.peek(), b.peek()) {
        let common = one.start.max(other.start)..one.end.min(other.end);
        if one.end <= other.end {
            a.next()
        } else {
            b.next()
        };
        if !common.is_empty() {
            both.push(common);
        }
    }
    both
}

/// The same by whole cells of an order.
pub(super) fn coarse(ranges: &[Range<i64>], order: u8) -> Vec<Range<i64>> {
    let shift = 2 * (ORDER - order);
    let mut cells = Vec::new();
    for range in ranges {
        let end = ((range.end - 1) >> shift) + 1;
        append(&mut cells, (range.start >> shift) << shift..end << shift);
    }
    cells
}

/// The share of the sky in ranges.
pub(super) fn share(ranges: &[Range<i64>]) -> f64 {
    ranges.iter().map(|range| (range.end - range.start) as f64).sum::<f64>() / ALL as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sky::separation_deg;
    use rand::{RngExt as _, SeedableRng as _};

    #[test]
    fn a_cell_lies_in_its_circle() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for _ in 0..4000 {
            let order = rng.random_range(0..=18u8);
            let cell = rng.random_range(0..12u64 << (2 * order));
            let circle = Circle::around_cell(order, cell);
            let (centre_ra, centre_dec) = circle.position_deg();
            for (ra, dec) in crate::sky::outline(order, cell, 16) {
                let reach = separation_deg(centre_ra, centre_dec, ra, dec);
                assert!(reach <= circle.radius.to_degrees(), "{order}/{cell}: {reach} {circle:?}");
                let mut width = (ra - centre_ra).rem_euclid(360.0);
                width = width.min(360.0 - width);
                let half = circle.half_width_deg(centre_dec);
                assert!(width <= half, "{order}/{cell}: {width} {circle:?}");
            }
        }
    }

    #[test]
    fn ranges_are_met_merged_and_made_coarse() {
        assert_eq!(
            meet(&[0..10, 20..30, 40..50], &[5..25, 29..41]),
            [5..10, 20..25, 29..30, 40..41]
        );
        assert_eq!(meet(&[0..10, 30..31], &[10..20, 40..41]), []);
        let mut ranges = Vec::new();
        for range in [0..3, 3..4, 2..6, 9..10] {
            append(&mut ranges, range);
        }
        assert_eq!(ranges, [0..6, 9..10]);
        assert_eq!(coarse(&[0..1, 5..9, 17..18], 28), [0..12, 16..20]);
        assert!((share(&[range_of(0, 0), range_of(0, 5)]) - 1.0 / 6.0).abs() < 1e-12);
    }
}
