//! Where a patch is in wavelength, as a transformer reads it.

use super::Error;
use std::f64::consts::TAU;

/// Longest and shortest period of the encoding, Å.
const PERIODS_ANGSTROM: (f64, f64) = (1e6, 0.1);
/// Dimensions at most.
const DIMENSIONS: usize = 1 << 16;

/// Positional encodings, (⌈n/patch⌉, dim) of f32, of the patches of a grid of `n` wavelengths (Å):
/// the mean over a patch's pixels of `sin(ω₀λ), sin(ω₁λ), …, cos(ω₀λ), cos(ω₁λ), …`. The dim/2
/// frequencies go from 2π/10⁶ to 2π/0.1 per Å in equal ratios. In the last patch the mean is over the
/// pixels that there are.
///
/// They depend on the grid alone: make them once, and add them to what a model makes of the tokens.
/// λ·ω reaches 10⁶, of which f32 would leave no phase: all is computed in f64 and rounded at the end.
///
/// # Errors
/// A patch of another size than 32 or 64, no pixels, or dimensions that are odd, 0 or too many.
pub fn positions(wavelength: &[f64], patch: usize, dim: usize) -> Result<Vec<f32>, Error> {
    super::Tokenizer::new(patch, wavelength.len())?;
    if !(2..=DIMENSIONS).contains(&dim) || dim % 2 == 1 {
        return Err(Error::Dimensions(dim));
    }
    let omega = frequencies(dim / 2);
    let mut encoded = Vec::with_capacity(wavelength.len().div_ceil(patch) * dim);
    for pixels in wavelength.chunks(patch) {
        let mean = |wave: fn(f64) -> f64| {
            omega.iter().map(move |omega| {
                let sum: f64 = pixels.iter().map(|wavelength| wave(omega * wavelength)).sum();
                (sum / pixels.len() as f64) as f32
            })
        };
        encoded.extend(mean(f64::sin).chain(mean(f64::cos)));
    }
    Ok(encoded)
}

/// In equal ratios, both ends included; the lowest alone where there is one.
fn frequencies(count: usize) -> Vec<f64> {
    let (first, last) = (TAU / PERIODS_ANGSTROM.0, TAU / PERIODS_ANGSTROM.1);
    let step = (last / first).ln() / count.saturating_sub(1).max(1) as f64;
    (0..count).map(|i| first * (step * i as f64).exp()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::COADDED;

    #[test]
    fn frequencies_go_from_end_to_end() {
        let omega = frequencies(256);
        assert!((omega[0] * 1e6 / TAU - 1.0).abs() < 1e-14);
        assert!((omega[255] * 0.1 / TAU - 1.0).abs() < 1e-12);
        let ratios: Vec<f64> = omega.windows(2).map(|pair| pair[1] / pair[0]).collect();
        assert!(ratios.iter().all(|ratio| (ratio / ratios[0] - 1.0).abs() < 1e-12));
        assert_eq!(frequencies(1).len(), 1);
    }

    #[test]
    fn it_is_the_closed_form_of_an_even_grid() {
        let wavelength: Vec<f64> = COADDED.wavelengths().collect();
        let (patch, dim) = (32, 8);
        let found = positions(&wavelength, patch, dim).expect("encoded");
        assert_eq!(found.len(), 244 * dim);
        for (number, pixels) in wavelength.chunks(patch).enumerate() {
            let middle = (pixels[0] + pixels[pixels.len() - 1]) / 2.0;
            for (i, omega) in frequencies(4).into_iter().enumerate() {
                let half = omega * 0.8 / 2.0;
                let n = pixels.len() as f64;
                let fade = (n * half).sin() / (n * half.sin());
                let [sine, cosine] = [(omega * middle).sin(), (omega * middle).cos()];
                for (place, expected) in [(i, sine * fade), (4 + i, cosine * fade)] {
                    // 0.8 Å are whole periods of the last: the closed form is 0/0 there
                    let found = f64::from(found[number * dim + place]);
                    assert!(i == 3 || (found - expected).abs() < 1e-6, "{number} {place}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_encoded_is_refused_with_words() {
        let error = |patch, dim| positions(&[3600.0], patch, dim).expect_err("refused").to_string();
        assert_eq!(error(16, 8), "patches have 32 or 64 pixels, not 16");
        let odd = "a positional encoding has an even number of dimensions, 2 to 65,536, not 7";
        assert_eq!(error(32, 7), odd);
        assert_eq!(positions(&[], 32, 8), Err(Error::NoPixels));
        assert_eq!(positions(&[3600.0], 64, 2).expect("encoded").len(), 2);
    }
}
