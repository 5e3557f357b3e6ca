use super::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const PIXELS: usize = 7781;

/// Spectra of every sort: good ones, with bad pixels of all kinds, faint, negative, without any.
fn spectra(rows: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let (mut flux, mut ivar) = (Vec::new(), Vec::new());
    for row in 0..rows {
        let (level, noise) = [(5.0, 1.0), (0.005, 0.1), (-2.0, 1.0), (-0.005, 0.1)][row % 4];
        for pixel in 0..PIXELS {
            let (f, i) = (dice.random_range(-1.0f32..1.0), dice.random_range(0.01f32..9.0));
            let f = level + noise * f;
            let is_odd = row % 5 > 0 && dice.random_range(0..9) == 0;
            let is_gap = row % 3 == 1 && (1000..2000).contains(&pixel);
            let kind = if is_gap {
                0
            } else if is_odd {
                dice.random_range(0..7)
            } else {
                9
            };
            let kind = if row % 7 == 6 { 0 } else { kind };
            let (f, i) = match kind {
                0 => (0.0, 0.0),
                1 => (f, 0.0),
                2 => (f, -i),
                3 => (f32::NAN, i),
                4 => (f, f32::NAN),
                5 => (f, f32::INFINITY),
                6 => (f, 1e-12),
                _ => (f, i),
            };
            flux.push(f);
            ivar.push(i);
        }
    }
    (flux, ivar)
}

/// The definition, one spectrum and one pixel at a time.
fn by_hand(flux: &[f32], ivar: &[f32], patch: usize) -> Tokens {
    let is_good =
        |i: usize| i < flux.len() && flux[i].is_finite() && ivar[i].is_finite() && ivar[i] > 0.0;
    let mut good: Vec<f32> = (0..flux.len()).filter(|i| is_good(*i)).map(|i| flux[i]).collect();
    good.sort_by(f32::total_cmp);
    let n = good.len();
    let (median, factor, flag) = if n == 0 {
        (f32::NAN, 1.0, EMPTY)
    } else {
        let median = (good[(n - 1) / 2] + good[n / 2]) / 2.0;
        let floored = if median.abs() < MEDIAN_FLOOR { FLOORED } else { 0 };
        let negative = if median < 0.0 { NEGATIVE } else { 0 };
        (median, 1.0 / median.abs().max(MEDIAN_FLOOR), floored | negative)
    };
    let patches = flux.len().div_ceil(patch);
    let (mut tokens, mut masked) = (Vec::new(), Vec::new());
    for first in (0..patches).map(|number| number * patch) {
        let all = first..first + patch;
        tokens.extend(all.clone().map(|i| if is_good(i) { flux[i] * factor } else { 0.0 }));
        tokens.extend(all.clone().map(|i| {
            let ivar = if is_good(i) { ivar[i] } else { 0.0 };
            factor / ivar.max(1e-8).sqrt()
        }));
        masked.push(all.filter(|i| !is_good(*i)).count() > patch / 2);
    }
    Tokens { tokens, masked, median: vec![median], flag: vec![flag] }
}

#[test]
fn it_is_the_definition_pixel_by_pixel() {
    let rows = 21;
    let (flux, ivar) = spectra(rows, 3);
    let mut flags = std::collections::BTreeSet::new();
    for patch in [32, 64] {
        let tokenizer = Tokenizer::new(patch, PIXELS).expect("a tokenizer");
        let made = tokenizer.tokens(&flux, &ivar, 1).expect("tokens");
        let values = tokenizer.patches() * tokenizer.width();
        let spectra = flux.chunks(PIXELS).zip(ivar.chunks(PIXELS)).enumerate();
        for (row, (flux, ivar)) in spectra {
            let expected = by_hand(flux, ivar, patch);
            assert_eq!(made.tokens[row * values..][..values], expected.tokens, "row {row}");
            let patches = tokenizer.patches();
            assert_eq!(made.masked[row * patches..][..patches], expected.masked, "row {row}");
            assert_eq!(made.median[row].to_bits(), expected.median[0].to_bits(), "row {row}");
            assert_eq!(made.flag[row], expected.flag[0], "row {row}");
            flags.insert(made.flag[row]);
        }
        assert_eq!(made.median.len(), rows);
        assert!(made.tokens.iter().all(|value| value.is_finite()));
    }
    let expected = [0, FLOORED, NEGATIVE, FLOORED | NEGATIVE, EMPTY];
    assert_eq!(flags.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn threads_change_nothing() {
    let (flux, ivar) = spectra(11, 5);
    let tokenizer = Tokenizer::new(64, PIXELS).expect("a tokenizer");
    let bits = |made: Tokens| {
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        (bits(made.tokens), made.masked, bits(made.median), made.flag)
    };
    let one = bits(tokenizer.tokens(&flux, &ivar, 1).expect("tokens"));
    for threads in [0, 2, 3, 4, 11, 100] {
        let many = bits(tokenizer.tokens(&flux, &ivar, threads).expect("tokens"));
        assert!(one == many, "{threads} threads");
    }
}

#[test]
fn many_are_the_same_as_few_wherever_they_are_put() {
    let rows = 150;
    let (flux, ivar) = spectra(rows, 7);
    for patch in [32, 64] {
        let tokenizer = Tokenizer::new(patch, PIXELS).expect("a tokenizer");
        let few = flux.chunks(10 * PIXELS).zip(ivar.chunks(10 * PIXELS));
        let few = few.map(|(flux, ivar)| tokenizer.tokens(flux, ivar, 1).expect("tokens"));
        let expected: Vec<f32> = few.flat_map(|made| made.tokens).collect();
        for apart in [0, 1, 4] {
            let mut made = vec![f32::NAN; expected.len() + apart];
            let patches = rows * tokenizer.patches();
            let (mut masked, mut median, mut flag) =
                (vec![false; patches], vec![0.0; rows], vec![0; rows]);
            let into = TokensMut {
                tokens: &mut made[apart..],
                masked: &mut masked,
                median: &mut median,
                flag: &mut flag,
            };
            tokenizer.tokens_into(&flux, &ivar, 1, into).expect("tokens");
            assert!(made[apart..] == expected, "{apart} values apart");
        }
    }
}

#[test]
fn spectra_of_any_length_are_filled_up_with_bad_pixels() {
    for (pixels, patch) in [(1, 32), (31, 32), (32, 32), (33, 32), (96, 64), (97, 64), (127, 64)] {
        let tokenizer = Tokenizer::new(patch, pixels).expect("a tokenizer");
        let made = tokenizer.tokens(&vec![2.0; pixels], &vec![1.0; pixels], 1).expect("tokens");
        let there = |i: usize| i < pixels;
        for (number, token) in made.tokens.chunks(2 * patch).enumerate() {
            for i in 0..patch {
                let expected = if there(number * patch + i) { (1.0, 0.5) } else { (0.0, 5000.0) };
                assert_eq!((token[i], token[patch + i]), expected);
            }
            let good = (0..patch).filter(|i| there(number * patch + i)).count();
            assert_eq!(made.masked[number], 2 * good < patch);
        }
        assert_eq!(made.masked.len(), pixels.div_ceil(patch));
    }
}

#[test]
fn what_does_not_fit_is_refused_with_words() {
    assert_eq!(Tokenizer::new(20, 100), Err(Error::Patch(20)));
    assert_eq!(Tokenizer::new(32, 0), Err(Error::NoPixels));
    let tokenizer = Tokenizer::new(32, 100).expect("a tokenizer");
    let error = tokenizer.tokens(&[0.0; 250], &[0.0; 200], 1).expect_err("refused").to_string();
    assert_eq!(error, "flux has 250 values, not 200: 2 spectra of 100 pixels");
    let error = tokenizer.tokens(&[0.0; 200], &[0.0; 100], 1).expect_err("refused").to_string();
    assert_eq!(error, "ivar has 100 values, not 200: 2 spectra of 100 pixels");
    let none = tokenizer.tokens(&[], &[], 4).expect("none");
    assert!(none.tokens.is_empty() && none.flag.is_empty());
}

/// What `tests/python/tokens_reference.py` makes, by name.
fn golden(name: &str) -> Vec<f32> {
    let line = include_str!("golden.txt").lines().find(|line| line.split(' ').next() == Some(name));
    let words = line.expect(name).split(' ').skip(1);
    words.map(|word| word.parse().expect(word)).collect()
}

#[test]
fn it_is_what_numpy_makes() {
    let (flux, ivar) = (golden("flux"), golden("ivar"));
    let wavelength: Vec<f64> = crate::grid::COADDED.wavelengths().collect();
    for patch in [32, 64] {
        let numpy = |what: &str| golden(&format!("{what}_{patch}"));
        let made = Tokenizer::new(patch, 70).expect("a tokenizer").tokens(&flux, &ivar, 1);
        let made = made.expect("tokens");
        assert_eq!(made.tokens, numpy("tokens"));
        let masked: Vec<f32> = made.masked.iter().map(|is| f32::from(u8::from(*is))).collect();
        assert_eq!(masked, numpy("masked"));
        for (found, expected) in made.median.iter().zip(numpy("median")) {
            assert!(*found == expected || found.is_nan() && expected.is_nan());
        }
        assert_eq!(made.flag.iter().copied().map(f32::from).collect::<Vec<_>>(), numpy("flag"));
        let found = positions(&wavelength, patch, 16).expect("positions");
        let found: Vec<f32> = found.chunks(16).step_by(20).flatten().copied().collect();
        let expected = numpy("positions");
        assert_eq!(found.len(), expected.len());
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!((found - expected).abs() < 1e-6, "{i}: {found} and {expected}");
        }
    }
}
