//! How much of each number is kept, as loops that vectorise.
//!
//! `decimals` rounds to what means something at the archive's scale; `noise` keeps as many
//! mantissa bits as leave the error below a fraction of the pixel's σ, and so compresses best.
//! Bounds (r rounded, x before; ½ ulp is that of f32):
//!
//! | mode | wavelength | flux | ivar |
//! |---|---|---|---|
//! | exact | r = x | r = x | r = x |
//! | decimals | 0.005 Å | 5e-7 + ½ ulp | 5e-7 + ½ ulp and 5e-5 relative; 0 only where x is |
//! | noise=F | 0.005 Å | F·σ, σ = 1/√ivar; 5e-7 + ½ ulp where ivar is not above 0 | 2⁻⁹ relative |

use std::fmt;
use std::str::FromStr;

/// The default share of σ.
const NOISE: f32 = 0.05;
/// Mantissa bits kept of ivar in mode noise: 1/512 relative, far below what any ivar is known to.
const IVAR_BITS: u32 = 8;

/// How much of each array value is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Precision {
    /// Everything.
    Exact,
    /// Wavelength 0.01 Å; flux and ivar 6 decimals, ivar at least 4 significant digits.
    Decimals,
    /// Flux to a fraction of its σ.
    Noise(f32),
}

/// Not a precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no precision: use exact, decimals, noise or noise=F with F in 0 to 1")]
pub struct Unknown(String);

impl FromStr for Precision {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let unknown = || Unknown(text.to_owned());
        match text {
            "exact" => Ok(Self::Exact),
            "decimals" => Ok(Self::Decimals),
            "noise" => Ok(Self::Noise(NOISE)),
            _ => {
                let fraction = text.strip_prefix("noise=").ok_or_else(unknown)?;
                let fraction: f32 = fraction.parse().map_err(|_| unknown())?;
                let fits = fraction > 0.0 && fraction <= 1.0;
                if fits { Ok(Self::Noise(fraction)) } else { Err(unknown()) }
            }
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact"),
            Self::Decimals => f.write_str("decimals"),
            Self::Noise(fraction) => write!(f, "noise={fraction}"),
        }
    }
}

impl Precision {
    /// Rounds a wavelength grid.
    pub fn round_wavelength(self, grid: &mut [f64]) {
        if self != Self::Exact {
            grid.iter_mut().for_each(|x| *x = (*x * 100.0).round() / 100.0);
        }
    }

    /// Rounds finite fluxes and their inverse variances, pixel by pixel.
    pub fn round_pixels(self, flux: &mut [f32], ivar: &mut [f32]) {
        match self {
            Self::Exact => {}
            Self::Decimals => {
                flux.iter_mut().for_each(|x| *x = six_decimals(*x));
                ivar.iter_mut().for_each(|x| *x = six_decimals_or_four_digits(*x));
            }
            Self::Noise(fraction) => {
                for (flux, ivar) in flux.iter_mut().zip(ivar.iter_mut()) {
                    *flux = within_noise(*flux, *ivar, fraction);
                    *ivar = keep_bits::<IVAR_BITS>(*ivar);
                }
            }
        }
    }
}

/// Adding and taking away 1.5·2⁵² rounds to whole numbers, halves to even.
#[inline(always)]
fn round_whole(x: f64) -> f64 {
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    (x + MAGIC) - MAGIC
}

#[inline(always)]
fn six_decimals(x: f32) -> f32 {
    let rounded = (round_whole(f64::from(x) * 1e6) / 1e6) as f32;
    // from 16 up f32 resolves no 6 decimals
    if x.abs() < 16.0 { rounded } else { x }
}

/// From 0.01 up 6 decimals are 4 digits or more; below, 14 mantissa bits are, and 6 decimals too.
#[inline(always)]
fn six_decimals_or_four_digits(x: f32) -> f32 {
    if x.abs() >= 0.01 { six_decimals(x) } else { keep_bits::<14>(x) }
}

/// Rounds to a number of mantissa bits, halves up: error at most 2^-(BITS+1) relative.
#[inline(always)]
fn keep_bits<const BITS: u32>(x: f32) -> f32 {
    let drop = 23 - BITS;
    let rounded = x.to_bits().wrapping_add(1 << (drop - 1)) & (u32::MAX << drop);
    // a subnormal could become 0, the largest number infinite
    let fits = x.abs() >= f32::MIN_POSITIVE && x.abs() < 1e38;
    if fits { f32::from_bits(rounded) } else { x }
}

/// Rounds a flux to multiples of the largest power of 2 that is at most 2·fraction·σ.
#[inline(always)]
fn within_noise(flux: f32, ivar: f32, fraction: f32) -> f32 {
    let widest = 2.0 * fraction / ivar.max(f32::MIN_POSITIVE).sqrt();
    let step = f32::from_bits(widest.to_bits() & 0x7f80_0000);
    // adding and taking away 1.5·2²³ steps leaves whole steps, as long as there is room
    let magic = step * 12_582_912.0;
    let rounded = (flux + magic) - magic;
    let steps_fit = flux.abs() < step * 2_097_152.0;
    let noisy = if steps_fit { rounded } else { flux };
    if ivar > 0.0 { noisy } else { six_decimals(flux) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random numbers of every magnitude, and the awkward ones.
    fn numbers(count: usize) -> Vec<f32> {
        let mut seed = 12345u64;
        let mut next = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 40) as f32 / (1 << 24) as f32
        };
        let mut all: Vec<f32> = (0..count)
            .map(|_| {
                let magnitude = 10f32.powf(next() * 44.0 - 38.0);
                (next() * 2.0 - 1.0) * if next() < 0.5 { magnitude } else { next() * 20.0 }
            })
            .collect();
        all.extend([
            0.0,
            -0.0,
            1e-45,
            f32::MIN_POSITIVE,
            f32::MAX,
            f32::MIN,
            0.01,
            16.0,
            15.999999,
        ]);
        all
    }

    fn half_ulp(x: f32) -> f64 {
        let next = f32::from_bits(x.abs().to_bits() + 1);
        if next.is_finite() { (f64::from(next) - f64::from(x.abs())) / 2.0 } else { 0.0 }
    }

    #[test]
    fn exact_is_exact() {
        let (mut flux, mut ivar) = (numbers(1000), numbers(1000));
        Precision::Exact.round_pixels(&mut flux, &mut ivar);
        assert!(flux.iter().zip(numbers(1000)).all(|(r, x)| r.to_bits() == x.to_bits()));
        assert!(ivar.iter().zip(numbers(1000)).all(|(r, x)| r.to_bits() == x.to_bits()));
    }

    #[test]
    fn decimals_keep_their_bounds() {
        let original = numbers(200_000);
        let (mut flux, mut ivar) = (original.clone(), original.clone());
        Precision::Decimals.round_pixels(&mut flux, &mut ivar);
        for ((x, r), i) in original.iter().zip(&flux).zip(&ivar) {
            let bound = 5e-7 + half_ulp(*x);
            let (wide, r, i) = (f64::from(*x), f64::from(*r), f64::from(*i));
            assert!((wide - r).abs() <= bound, "flux {x} became {r}");
            assert!((wide - i).abs() <= bound, "ivar {x} became {i}");
            assert!((wide - i).abs() <= 5.1e-5 * wide.abs(), "ivar {x} became {i}");
            assert_eq!(i == 0.0, *x == 0.0, "ivar {x} became {i}");
        }
        // where they can be told, they are the decimals that a person would write
        assert_eq!(six_decimals(0.123_456_78), 0.123_457);
        assert_eq!(six_decimals(-1.000_000_6), -1.000_001);
    }

    #[test]
    fn noise_keeps_its_bounds() {
        let original = numbers(200_000);
        let ivars: Vec<f32> = numbers(200_000).into_iter().rev().collect();
        for fraction in [0.01f32, 0.05, 0.3, 1.0] {
            let (mut flux, mut ivar) = (original.clone(), ivars.clone());
            Precision::Noise(fraction).round_pixels(&mut flux, &mut ivar);
            for i in 0..flux.len() {
                let (x, r) = (f64::from(original[i]), f64::from(flux[i]));
                let before = f64::from(ivars[i]);
                let bound = if before > 0.0 {
                    f64::from(fraction) / before.sqrt() * (1.0 + 1e-6)
                } else {
                    5e-7 + half_ulp(original[i])
                };
                assert!((x - r).abs() <= bound, "flux {x} of ivar {before} became {r}");
                let after = f64::from(ivar[i]);
                assert!((before - after).abs() <= before.abs() / 512.0, "{before} became {after}");
                assert_eq!(before == 0.0, after == 0.0);
            }
        }
    }

    #[test]
    fn noise_frees_bits() {
        let (mut flux, mut ivar) = (vec![1.234_567_8f32; 8], vec![1.0f32; 8]);
        Precision::Noise(0.05).round_pixels(&mut flux, &mut ivar);
        assert!(flux[0].to_bits().trailing_zeros() >= 18, "{:x}", flux[0].to_bits());
    }

    #[test]
    fn wavelengths_keep_two_decimals() {
        let mut grid = [3600.0, 3600.8, 9800.000000000524];
        Precision::Decimals.round_wavelength(&mut grid);
        assert_eq!(grid, [3600.0, 3600.8, 9800.0]);
    }

    #[test]
    fn precisions_are_spelled() {
        for text in ["exact", "decimals", "noise=0.05", "noise=1"] {
            assert_eq!(text.parse::<Precision>().expect(text).to_string(), text);
        }
        for text in ["", "noise=", "noise=0", "noise=2", "noise=nan", "Exact", "noise=-1"] {
            assert!(text.parse::<Precision>().is_err(), "{text} was taken");
        }
    }
}
