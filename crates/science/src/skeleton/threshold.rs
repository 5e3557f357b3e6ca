//! From which ratio of densities on a persistence pair is no accident of Poisson noise.

use super::Error;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// What ratio of densities a pair must have to stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// That which in a Poisson sample occurs with the probability of so many standard deviations, for each
    /// kind of pair: fits by Sousbie, Pichon & Kawahara 2011 as DisPerSE has them. Made for raw DTFE values;
    /// on smoothed ones nominal.
    Sigma(f64),
    /// This, whatever the pair.
    Ratio(f64),
}

impl Threshold {
    /// The ratios for pairs whose lower critical point is a minimum, a 1-saddle, a 2-saddle.
    ///
    /// # Errors
    /// Not 0 to 8 sigmas; a ratio that is not from 1 up.
    pub fn ratios(self) -> Result<[f64; 3], Error> {
        match self {
            Self::Sigma(sigmas) if (0.0..=8.0).contains(&sigmas) => {
                let chance = erfc(sigmas * FRAC_1_SQRT_2);
                Ok([minima, saddles, maxima].map(|chances| 1.0 + invert(chances, chance)))
            }
            Self::Ratio(ratio) if ratio >= 1.0 => Ok([ratio; 3]),
            Self::Sigma(wrong) | Self::Ratio(wrong) => Err(Error::Threshold(wrong)),
        }
    }
}

/// P₀ of u = ratio − 1.
fn minima(u: f64) -> f64 {
    (-3.69381 * u - 0.44052 * u.powf(2.53805)).exp()
}

/// P₁.
fn saddles(u: f64) -> f64 {
    let t = 1.0 / (1.0 + (1.785 / u).powi(14));
    t * 4.0 * (1.0 + u).powi(-9) + (1.0 - t) * (-2.55393 * u).exp()
}

/// P₂.
fn maxima(u: f64) -> f64 {
    (1.0 + 0.448993 * u).powf(-2.5633)
}

/// Where a falling function has a value, by halving.
fn invert(of: fn(f64) -> f64, value: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while of(high) > value && high < 1e12 {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if of(middle) > value { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The complementary error function from 0 up: a series of positive terms, then a continued fraction.
fn erfc(x: f64) -> f64 {
    let scale = (-x * x).exp() / PI.sqrt();
    if x < 2.0 {
        let terms = (1..100).scan(x, |term, k| {
            let this = *term;
            *term *= 2.0 * x * x / f64::from(2 * k + 1);
            Some(this)
        });
        return 1.0 - 2.0 * scale * terms.sum::<f64>();
    }
    scale / (1..200).rev().fold(x, |below, k| x + 0.5 * f64::from(k) / below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_sigmas_are_the_ratios_that_disperse_uses() {
        let ratios = Threshold::Sigma(3.0).ratios().expect("ratios");
        for (ratio, expected) in ratios.into_iter().zip([2.3471, 2.8889, 21.1525]) {
            assert!((ratio - expected).abs() < 1e-4, "{ratio} {expected}");
        }
    }

    #[test]
    fn erfc_has_its_tabulated_values() {
        for (x, expected) in [
            (0.0, 1.0),
            (0.5, 0.479_500_122_186_953_5),
            (1.9, 7.209_570_764_684_1e-3),
            (2.0, 4.677_734_981_047_266e-3),
            (5.0, 1.537_459_794_428_034_8e-12),
        ] {
            assert!((erfc(x) / expected - 1.0).abs() < 1e-9, "{x} {}", erfc(x));
        }
    }

    #[test]
    fn thresholds_grow_with_sigma_from_a_ratio_of_one() {
        let mut last = [1.0 - 1e-9; 3];
        for tenth in 0..=80 {
            let ratios = Threshold::Sigma(f64::from(tenth) / 10.0).ratios().expect("ratios");
            assert!(ratios.iter().zip(&last).all(|(now, before)| now > before), "{tenth}");
            last = ratios;
        }
    }

    #[test]
    fn what_is_no_threshold_is_refused() {
        for wrong in [
            Threshold::Sigma(f64::NAN),
            Threshold::Sigma(-1.0),
            Threshold::Sigma(9.0),
            Threshold::Ratio(0.5),
            Threshold::Ratio(f64::NAN),
        ] {
            assert!(wrong.ratios().is_err(), "{wrong:?}");
        }
    }
}
