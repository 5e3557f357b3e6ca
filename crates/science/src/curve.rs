//! Positions in an order in which neighbours are near each other: what walks over a mesh of them finds
//! what it needs in the processor's caches.

use rayon::prelude::*;

/// Bits of each coordinate that count.
const BITS: u32 = 21;

/// The rows of positions along a Morton curve through their box (Morton 1966); equal places keep the
/// order of their rows, and what is not finite comes where it may.
#[must_use]
pub fn morton(positions: &[[f64; 3]]) -> Vec<u32> {
    let ends = |start: f64, pick: fn(f64, f64) -> f64| {
        let all = positions.iter().filter(|place| place.iter().all(|x| x.is_finite()));
        all.fold([start; 3], |end, place| std::array::from_fn(|k| pick(end[k], place[k])))
    };
    let (low, high) = (ends(f64::INFINITY, f64::min), ends(f64::NEG_INFINITY, f64::max));
    let size = (0..3).map(|k| high[k] - low[k]).fold(f64::MIN_POSITIVE, f64::max);
    let scale = f64::from((1_u32 << BITS) - 1) / size;
    let mut keys: Vec<(u64, u32)> = positions
        .par_iter()
        .zip(0_u32..positions.len() as u32)
        .map(|(place, row)| {
            let at: [u64; 3] = std::array::from_fn(|k| ((place[k] - low[k]) * scale) as u64);
            (spread(at[0]) << 2 | spread(at[1]) << 1 | spread(at[2]), row)
        })
        .collect();
    keys.par_sort_unstable();
    keys.into_iter().map(|(_, row)| row).collect()
}

/// Two empty bits after each of 21.
fn spread(x: u64) -> u64 {
    let steps = [
        (32, 0x001f_0000_0000_ffff),
        (16, 0x001f_0000_ff00_00ff),
        (8, 0x100f_00f0_0f00_f00f),
        (4, 0x10c3_0c30_c30c_30c3),
        (2, 0x1249_2492_4924_9249),
    ];
    steps.iter().fold(x, |x, (by, mask)| (x | x << by) & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_on_the_curve_are_near() {
        let grid: Vec<[f64; 3]> = (0..4096_u32)
            .map(|i| i * 2053 % 4096)
            .map(|i| [i % 16, i / 16 % 16, i / 256].map(f64::from))
            .collect();
        let order = morton(&grid);
        let mut rows = order.clone();
        rows.sort_unstable();
        assert!(rows.iter().zip(0..).all(|(row, place)| *row == place), "every row once");
        let apart = |pair: &[u32]| -> f64 {
            let (a, b) = (grid[pair[0] as usize], grid[pair[1] as usize]);
            (0..3).map(|k| (a[k] - b[k]).powi(2)).sum::<f64>().sqrt()
        };
        let mean = order.windows(2).map(apart).sum::<f64>() / 4095.0;
        assert!(mean < 2.0, "{mean}");
    }

    #[test]
    fn places_that_are_none_do_no_harm() {
        assert!(morton(&[]).is_empty());
        assert_eq!(morton(&[[1.0; 3]; 3]), [0, 1, 2]);
        let mut found = morton(&[[f64::NAN; 3], [0.0; 3], [f64::INFINITY; 3], [1e300; 3]]);
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2, 3]);
    }
}
