//! The order in which points are inserted: rounds of random points, each eight times the one before
//! (Amenta, Choi & Rote 2003), and within a round along Hilbert's curve, so that the next point is near.

use super::predicates::Point;
use rayon::prelude::*;

/// Bits of a coordinate on the curve.
const BITS: u32 = 18;
/// Points of the first round, about.
const FIRST_ROUND: usize = 1000;

/// Indices of points in order, and where rounds end.
pub struct Order {
    pub indices: Vec<u32>,
    pub ends: Vec<usize>,
}

/// Orders points (finite ones).
pub fn order(points: &[Point]) -> Order {
    let rounds = (points.len() / FIRST_ROUND).checked_ilog(8).map_or(1, |log| log + 1);
    let grid = Grid::around(points);
    let key = |(index, point): (usize, &Point)| {
        let index = index as u32;
        let round = rounds - 1 - (scrambled(index).leading_zeros() / 3).min(rounds - 1);
        (u64::from(round) << (3 * BITS) | grid.place(point), index)
    };
    let mut keys: Vec<(u64, u32)> = points.par_iter().enumerate().map(key).collect();
    keys.par_sort_unstable();
    let end = |round: u32| keys.partition_point(|(key, _)| key >> (3 * BITS) <= u64::from(round));
    let ends = (0..rounds).map(end).collect();
    Order { indices: keys.into_par_iter().map(|(_, index)| index).collect(), ends }
}

/// Bits that look random (the finaliser of `SplitMix64`).
fn scrambled(index: u32) -> u64 {
    let mut bits = (u64::from(index) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The cube around points, on whose cells the curve runs.
struct Grid {
    low: Point,
    scale: f64,
}

impl Grid {
    fn around(points: &[Point]) -> Self {
        let outside = || ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
        let both = |(low, high): (Point, Point), (other_low, other_high): (Point, Point)| {
            let axis = [0, 1, 2];
            (
                axis.map(|k| f64::min(low[k], other_low[k])),
                axis.map(|k| f64::max(high[k], other_high[k])),
            )
        };
        let corners = points.par_iter().fold(outside, |box_, point| both(box_, (*point, *point)));
        let (low, high) = corners.reduce(outside, both);
        let width = (0..3).map(|k| high[k] - low[k]).fold(f64::MIN_POSITIVE, f64::max);
        Self { low, scale: f64::from((1u32 << BITS) - 1) / width }
    }

    /// Place on the curve.
    fn place(&self, point: &Point) -> u64 {
        hilbert([0, 1, 2].map(|k| ((point[k] - self.low[k]) * self.scale) as u32))
    }
}

/// Place on Hilbert's curve (Skilling, AIP Conf. Proc. 707, 381, 2004).
fn hilbert([mut x, mut y, mut z]: [u32; 3]) -> u64 {
    let is_set = |value: u32, bit: u32| 0u32.wrapping_sub(u32::from(value & bit != 0));
    for bit in (1..BITS).rev().map(|shift| 1u32 << shift) {
        let low = bit - 1;
        x ^= low & is_set(x, bit);
        for other in [&mut y, &mut z] {
            let flip = is_set(*other, bit);
            let swap = (x ^ *other) & low & !flip;
            x ^= (low & flip) | swap;
            *other ^= swap;
        }
    }
    y ^= x;
    z ^= y;
    let turn = (1..BITS).map(|shift| 1u32 << shift);
    let turn = turn.fold(0, |turn, bit| turn ^ ((bit - 1) & is_set(z, bit)));
    spread(x ^ turn) << 2 | spread(y ^ turn) << 1 | spread(z ^ turn)
}

/// Bits of a number, each followed by two zeros.
fn spread(value: u32) -> u64 {
    let mut bits = u64::from(value) & 0x1f_ffff;
    for (shift, mask) in [
        (32, 0x001f_0000_0000_ffff),
        (16, 0x001f_0000_ff00_00ff),
        (8, 0x100f_00f0_0f00_f00f),
        (4, 0x10c3_0c30_c30c_30c3),
        (2, 0x1249_2492_4924_9249),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_on_the_curve_are_neighbours_in_space() {
        let side = 16u32;
        let mut places = Vec::new();
        for x in 0..side {
            for y in 0..side {
                places.extend((0..side).map(|z| (hilbert([x, y, z]), [x, y, z])));
            }
        }
        places.sort_unstable();
        for (rank, pair) in places.windows(2).enumerate() {
            let step: u32 = (0..3).map(|k| pair[0].1[k].abs_diff(pair[1].1[k])).sum();
            assert_eq!((pair[0].0, step), (rank as u64, 1));
        }
    }
}
