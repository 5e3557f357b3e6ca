//! The median of many values, by counting alone: what counts needs no branches and no moving, so that
//! many values are looked at in one step.

/// Values of the sample that tells where the median is.
const SAMPLE: usize = 64;
/// As few values are gathered and selected from.
const FEW: usize = 64;
/// Counts, at most. Spectra need about four.
const COUNTS: usize = 40;

/// A number whose order is that of the values.
#[inline(always)]
pub(super) fn key(value: f32) -> u32 {
    let bits = value.to_bits();
    bits ^ ((((bits as i32) >> 31) as u32) | 0x8000_0000)
}

#[inline(always)]
fn value(key: u32) -> f32 {
    f32::from_bits(if key & 0x8000_0000 == 0 { !key } else { key & 0x7fff_ffff })
}

/// The median of the `count` smallest of the keys; the mean of the middle two where their number is
/// even, in f32. `count` is above 0. The keys are left in any order.
#[inline(always)]
pub(super) fn median(keys: &mut [u32], count: usize) -> f32 {
    let (lower, upper) = middle(keys, (count - 1) / 2, count / 2);
    if lower == upper { value(lower) } else { (value(lower) + value(upper)) * 0.5 }
}

/// Keys `low` to `high`: how many are below, how many are among them.
#[derive(Clone, Copy)]
struct Bracket {
    low: u32,
    high: u32,
    below: usize,
    within: usize,
}

/// The keys of two neighbouring ranks, or of one.
#[inline(always)]
fn middle(keys: &mut [u32], first: usize, second: usize) -> (u32, u32) {
    let mut bracket = Bracket { low: 0, high: u32::MAX, below: 0, within: keys.len() };
    let (mut low, mut high) = if keys.len() > FEW { sampled(keys, first) } else { (0, u32::MAX) };
    for _ in 0..COUNTS {
        if bracket.within <= FEW {
            return gathered(keys, bracket, first, second);
        }
        if bracket.low == bracket.high {
            return (bracket.low, bracket.low);
        }
        let below = count(keys, |key| key < low);
        let within = count(keys, |key| low <= key && key <= high);
        // the ranks are in the bracket, or below it, or (one of them, at least) above
        if first < below && second < below {
            (bracket.high, bracket.within) = (low - 1, below - bracket.below);
        } else if first >= below + within {
            let (from, end) = (below + within, bracket.below + bracket.within);
            bracket = Bracket { low: high + 1, below: from, within: end - from, ..bracket };
        } else if first >= below && second < below + within {
            bracket = Bracket { low, high, below, within };
        } else {
            break;
        }
        (low, high) = guess(bracket, first);
        if (low, high) == (bracket.low, bracket.high) {
            break;
        }
    }
    let (left, upper, _) = keys.select_nth_unstable(second);
    let lower = left.iter().copied().max().filter(|_| first < second);
    (lower.unwrap_or(*upper), *upper)
}

#[inline(always)]
fn count(keys: &[u32], is_it: impl Fn(u32) -> bool) -> usize {
    keys.iter().map(|key| u32::from(is_it(*key))).sum::<u32>() as usize
}

/// Keys between which the one of a rank probably is, by a sample: three standard deviations around.
#[inline(always)]
fn sampled(keys: &[u32], rank: usize) -> (u32, u32) {
    let mut sample = [0; SAMPLE];
    for (i, sample) in sample.iter_mut().enumerate() {
        *sample = keys[i * keys.len() / SAMPLE];
    }
    sample.sort_unstable();
    let (place, around) = (rank * SAMPLE / keys.len(), 3 * SAMPLE.isqrt() / 2);
    (sample[place.saturating_sub(around)], sample[(place + around).min(SAMPLE - 1)])
}

/// Keys between which the one of a rank probably is, if those of the bracket are evenly spread.
#[inline(always)]
fn guess(bracket: Bracket, rank: usize) -> (u32, u32) {
    let Bracket { low, high, below, within } = bracket;
    let per_rank = f64::from(high - low) / within.max(1) as f64;
    let (place, around) = ((rank - below) as f64 + 0.5, 1.5 * (within as f64).sqrt() + 1.0);
    let at = |place: f64| low.saturating_add((place * per_rank) as u32).min(high);
    (at(place - around), at(place + around))
}

/// Selects among the few keys of a bracket.
#[inline(always)]
fn gathered(keys: &[u32], bracket: Bracket, first: usize, second: usize) -> (u32, u32) {
    let (mut few, mut found) = ([0; FEW], 0);
    let is_within = |key: u32| bracket.low <= key && key <= bracket.high;
    for keys in keys.chunks(32) {
        if count(keys, is_within) > 0 {
            for key in keys.iter().copied().filter(|key| is_within(*key)) {
                few[found] = key;
                found += 1;
            }
        }
    }
    let few = &mut few[..found];
    few.sort_unstable();
    (few[first - bracket.below], few[second - bracket.below])
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
        let mut keys: Vec<u32> = values.iter().map(|value| key(*value)).collect();
        keys.extend(std::iter::repeat_n(u32::MAX, bad));
        median(&mut keys, values.len())
    }

    #[test]
    fn keys_are_ordered_as_values_are() {
        let values =
            [f32::NEG_INFINITY, f32::MIN, -1.0, -1e-40, 0.0, 1e-40, 1.0, f32::MAX, f32::INFINITY];
        assert!(values.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        assert!(values.iter().all(|v| value(key(*v)) == *v));
    }

    #[test]
    fn it_is_what_sorting_finds() {
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        for length in [1, 2, 3, 511, 512, 513, 514, 1000, 1001, 7780, 7781] {
            for shape in 0..8 {
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
