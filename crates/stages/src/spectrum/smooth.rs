//! Smoothing for the eye.

use bifrost_core::spectrum::Pixels;
use std::ops::Range;

/// Standard deviation of the kernel, pixels.
const SIGMA: f64 = 2.5;
/// Pixels on either side that count.
const REACH: usize = 8;

/// Whether a pixel can be trusted.
pub(super) fn is_good(pixels: &Pixels, i: usize) -> bool {
    pixels.mask[i] == 0 && pixels.ivar[i] > 0.0 && pixels.flux[i].is_finite()
}

/// The flux in a stretch of pixels, smoothed by a Gaussian; good pixels count by their ivar. `None`
/// where none is near.
pub(super) fn smoothed(pixels: &Pixels, stretch: Range<usize>) -> Vec<Option<f64>> {
    let kernel: Vec<f64> = (0..=REACH).map(|d| (-0.5 * (d as f64 / SIGMA).powi(2)).exp()).collect();
    let at = |i: usize| {
        let first = i.saturating_sub(REACH).max(stretch.start);
        let end = (i + REACH + 1).min(stretch.end);
        let (sum, weight) =
            (first..end).filter(|&j| is_good(pixels, j)).fold((0.0, 0.0), |(sum, weight), j| {
                let w = kernel[j.abs_diff(i)] * f64::from(pixels.ivar[j]);
                (sum + w * f64::from(pixels.flux[j]), weight + w)
            });
        (weight > 0.0 && is_good(pixels, i)).then(|| sum / weight)
    };
    stretch.clone().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_and_bad_pixels_do_not_count() {
        let mut pixels = Pixels {
            wavelength: (0..40).map(f64::from).collect(),
            flux: vec![2.0; 40],
            ivar: vec![1.0; 40],
            mask: vec![0; 40],
        };
        (pixels.flux[20], pixels.mask[20]) = (1e6, 1);
        let found = smoothed(&pixels, 5..35);
        assert_eq!(found.len(), 30);
        for (i, value) in (5..35).zip(found) {
            assert_eq!(value.map(|v| (v * 1e6).round()), (i != 20).then_some(2e6), "pixel {i}");
        }
        pixels.ivar.fill(0.0);
        assert!(smoothed(&pixels, 0..40).iter().all(Option::is_none));
    }
}
