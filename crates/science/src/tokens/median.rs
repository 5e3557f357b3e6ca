//! The median of many values, by counting alone: what counts needs no branches and no moving, so that
//! many values are looked at in one step.

/// Values of the sample that tells where the median is.
const SAMPLE: usize = 32;
/// As few values are gathered and sorted.
const FEW: usize = 32;
/// Counts, at most; spectra need three or four. What is odd is selected from all.
const COUNTS: usize = 12;

/// The median of the finite values, of which there are `count`, above 0; the mean of the middle two
/// where that is even, in f32. The others are +∞. The values are left in any order.
#[inline(always)]
pub(super) fn median(values: &mut [f32], count: usize) -> f32 {
    let (lower, upper) = middle(values, count, ((count - 1) / 2, count / 2));
    (lower + upper) * 0.5
}

/// Values from `low` to `high`: how many are below, how many are there.
#[derive(Clone, Copy)]
struct Bracket {
    low: f32,
    high: f32,
    below: usize,
    within: usize,
}

impl Bracket {
    fn has(self, ranks: (usize, usize)) -> bool {
        self.below <= ranks.0 && ranks.1 < self.below + self.within
    }
}

/// The values of two neighbouring ranks, or of one.
#[inline(always)]
fn middle(values: &mut [f32], finite: usize, ranks: (usize, usize)) -> (f32, f32) {
    let mut bracket = by_sample(values, finite, ranks.0);
    for _ in 0..COUNTS {
        if !bracket.has(ranks) {
            break;
        }
        if bracket.within <= FEW {
            return gathered(values, bracket, ranks);
        }
        if bracket.low == bracket.high {
            return (bracket.low, bracket.low);
        }
        bracket = narrowed(values, bracket, ranks);
    }
    let (left, upper, _) = values.select_nth_unstable_by(ranks.1, f32::total_cmp);
    let lower = left.iter().copied().max_by(f32::total_cmp).filter(|_| ranks.0 < ranks.1);
    (lower.unwrap_or(*upper), *upper)
}

/// How many values are below `low`, and how many from there to `high`.
#[inline(always)]
fn count(values: &[f32], low: f32, high: f32) -> (usize, usize) {
    let (mut below, mut above) = (0, 0);
    for value in values {
        below += u32::from(*value < low);
        above += u32::from(*value > high);
    }
    (below as usize, values.len() - (below + above) as usize)
}

/// Where the value of a rank probably is: three standard deviations around its place in a sample.
#[inline(always)]
fn by_sample(values: &[f32], finite: usize, rank: usize) -> Bracket {
    let mut sample = [0.0; SAMPLE];
    for (i, sample) in sample.iter_mut().enumerate() {
        *sample = values[i * values.len() / SAMPLE];
    }
    sample.sort_unstable_by(f32::total_cmp);
    let last = sample.partition_point(|value| value.is_finite()).max(1) - 1;
    let (place, around) = (rank * last / finite, 3 * (last + 1).isqrt() / 2);
    let (low, high) = (sample[place.saturating_sub(around)], sample[(place + around).min(last)]);
    let (below, within) = count(values, low, high);
    Bracket { low, high, below, within }
}

/// The part of a bracket that has the ranks: two standard deviations around where they are if its
/// values are evenly spread, or what is left on one side of that.
#[inline(always)]
fn narrowed(values: &[f32], bracket: Bracket, ranks: (usize, usize)) -> Bracket {
    let (first, last) = (f64::from(bracket.low), f64::from(bracket.high));
    let place = (ranks.0 - bracket.below) as f64 + 0.5;
    let around = (bracket.within as f64).sqrt() + 1.0;
    let at = |place: f64| first + (last - first) * (place / bracket.within as f64);
    let low = at(place - around).max(first) as f32;
    let high = at(place + around).min(last) as f32;
    let (below, within) = count(values, low, high);
    if ranks.1 < below {
        Bracket { high: low.next_down(), within: below - bracket.below, ..bracket }
    } else if ranks.0 >= below + within {
        let end = bracket.below + bracket.within;
        let below = below + within;
        Bracket { low: high.next_up(), below, within: end - below, ..bracket }
    } else {
        Bracket { low, high, below, within }
    }
}

/// Sorts the few values of a bracket.
#[inline(always)]
fn gathered(values: &[f32], bracket: Bracket, ranks: (usize, usize)) -> (f32, f32) {
    let is_within = |value: f32| (bracket.low <= value) & (value <= bracket.high);
    let (mut few, mut found) = ([0.0; FEW + 1], 0);
    for values in values.chunks(32) {
        if values.iter().fold(false, |any, value| any | is_within(*value)) {
            for value in values {
                few[found] = *value;
                found += usize::from(is_within(*value));
            }
        }
    }
    let few = &mut few[..found];
    few.sort_unstable_by(f32::total_cmp);
    (few[ranks.0 - bracket.below], few[ranks.1 - bracket.below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// By sorting.
    fn expected(values: &[f32]) -> f32 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f32::total_cmp);
        let n = sorted.len();
        (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0
    }

    fn found(values: &[f32], bad: usize) -> f32 {
        let mut all = values.to_vec();
        all.extend(std::iter::repeat_n(f32::INFINITY, bad));
        median(&mut all, values.len())
    }

    #[test]
    fn it_is_what_sorting_finds() {
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        for length in [1, 2, 3, 31, 32, 33, 34, 1000, 1001, 7780, 7781] {
            for shape in 0..10 {
                let values: Vec<f32> = (0..length)
                    .map(|i| {
                        let x: f32 = dice.random_range(-1.0..1.0);
                        match shape {
                            0 => x,
                            1 => x * 1e-3 + i as f32,
                            2 => -(i as f32),
                            3 => (x * 3.0).round(),
                            4 => x.powi(9) * 1e30,
                            // as the sample's stride sees it, all lie on one side
                            5 => f32::from(u8::from(i % 60 < 2)) + x * 1e-3,
                            6 => 0.25,
                            7 => 1e38 * x.signum(),
                            8 => f32::from_bits(dice.random_range(0..3)),
                            _ => (i as f32 / 300.0).sin() + 0.3 * x,
                        }
                    })
                    .collect();
                for bad in [0, 1, length / 3, 3 * length] {
                    let (found, expected) = (found(&values, bad), expected(&values));
                    assert_eq!(found, expected, "{length} values of shape {shape}, {bad} bad");
                }
            }
        }
    }
}
