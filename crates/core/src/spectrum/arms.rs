//! The arms of a spectrum, whose pixels follow one after the other: b, r, z.

use std::ops::Range;

/// The arms, in their order.
pub const ARMS: [&str; 3] = ["b", "r", "z"];
/// The last pixels of the arms, Å.
const ENDS_ANGSTROM: [f64; 3] = [5800.0, 7620.0, 9824.0];

/// The pixels of each arm in the wavelengths (Å) of a spectrum. The next arm begins where wavelengths
/// fall back into the overlap, or go beyond the arm's end where the overlap was cut away.
#[must_use]
pub fn arms(wavelength: &[f64]) -> [Range<usize>; 3] {
    let mut starts = [0, wavelength.len(), wavelength.len(), wavelength.len()];
    let (mut arm, mut last) = (0, f64::NEG_INFINITY);
    for (i, &here) in wavelength.iter().enumerate() {
        let mut falls_back = here <= last;
        while arm + 1 < ARMS.len() && (falls_back || here > ENDS_ANGSTROM[arm] + 0.1) {
            arm += 1;
            starts[arm] = i;
            falls_back = false;
        }
        last = here;
    }
    [starts[0]..starts[1], starts[1]..starts[2], starts[2]..starts[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_are_told_apart_wherever_the_wavelengths_were_cut() {
        let grid = |first: f64, count: usize| (0..count).map(move |i| first + 0.8 * i as f64);
        let all: Vec<(usize, f64)> = [(3600.0, 2751), (5760.0, 2326), (7520.0, 2881)]
            .into_iter()
            .enumerate()
            .flat_map(|(arm, (first, count))| grid(first, count).map(move |wave| (arm, wave)))
            .collect();
        for (from, to) in [
            (3600.0, 9824.0),
            (3600.0, 9800.0),
            (3700.0, 5759.0),
            (5770.0, 5790.0),
            (5800.0, 5801.0),
            (5801.0, 7519.0),
            (6000.0, 9000.0),
            (7550.0, 7560.0),
            (7621.0, 9000.0),
            (5750.0, 7530.0),
        ] {
            let cut: Vec<_> = all.iter().filter(|(_, w)| (from..=to).contains(w)).collect();
            let wave: Vec<f64> = cut.iter().map(|(_, wave)| *wave).collect();
            let arms = arms(&wave);
            for (arm, pixels) in arms.into_iter().enumerate() {
                let count = cut.iter().filter(|(of, _)| *of == arm).count();
                assert_eq!(pixels.len(), count, "arm {arm} of {from} to {to}");
            }
        }
    }
}
