//! The three arms of the spectrograph: grids, sky, line spread, and what a row looks like in each.

use super::dice::{Dice, Purpose, Seed};
use super::spectra;
use super::targets::Target;

/// An arm; its number is its place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arm {
    /// Blue, 3600 to 5800 Å.
    B,
    /// Red, 5760 to 7620 Å.
    R,
    /// Near infrared, 7520 to 9824 Å.
    Z,
}

/// Width of a pixel.
pub const STEP_ANGSTROM: f64 = 0.8;
/// Bits of `MASK`.
mod pixel_bit {
    pub(super) const SOMEBADPIX: u32 = 1;
    pub(super) const ALLBADPIX: u32 = 1 << 1;
    pub(super) const COSMIC: u32 = 1 << 2;
}
/// Share of pixels with a blemish.
const BLEMISHED: f64 = 2e-3;

impl Arm {
    /// Every arm, in the file's order.
    pub const ALL: [Self; 3] = [Self::B, Self::R, Self::Z];

    /// The letter that begins its HDUs' names.
    #[must_use]
    pub fn letter(self) -> char {
        ['B', 'R', 'Z'][self as usize]
    }

    /// Pixels of a row.
    #[must_use]
    pub fn width(self) -> usize {
        [2751, 2326, 2881][self as usize]
    }

    /// The vacuum wavelengths of its pixels, bit for bit those of the release: they came from
    /// `arange(start, stop, 0.8)`, whose step is `(start + 0.8) - start`.
    #[must_use]
    pub fn wave_angstrom(self) -> Vec<f64> {
        let start = [3600.0, 5760.0, 7520.0][self as usize];
        let step = (start + STEP_ANGSTROM) - start;
        (0..self.width()).map(|i| start + i as f64 * step).collect()
    }

    /// Wavelengths that the coadd's scores are taken over.
    fn scored_angstrom(self) -> std::ops::Range<f64> {
        [4000.0..5800.0, 5800.0..7600.0, 7600.0..9800.0][self as usize].clone()
    }

    /// Sigma of the line spread at both ends, in pixels.
    fn line_spread_pixels(self) -> [f64; 2] {
        [[0.95, 0.78], [0.86, 0.76], [0.96, 0.86]][self as usize]
    }
}

/// What does not change from row to row of an arm.
pub struct Camera {
    /// The arm.
    pub arm: Arm,
    /// Wavelength of each pixel.
    pub wave_angstrom: Vec<f64>,
    sky_ivar: Vec<f32>,
    scored: std::ops::Range<usize>,
}

/// Numbers that a row's spectrum leaves in the tables.
#[derive(Debug, Clone, Copy, Default)]
pub struct Score {
    /// Integral of the flux.
    pub flux_integral: f32,
    /// Median of the flux; NaN where a NaN is among it.
    pub flux_median: f32,
    /// Median signal to noise in an Ångström.
    pub snr_median: f32,
    /// Pixels with ivar above 0.
    pub good_pixels: usize,
    /// Depth; 0 of a dead arm.
    pub depth: f64,
}

/// One row of an arm: as many pixels as the arm is wide.
pub struct Row {
    /// 10⁻¹⁷ erg/s/cm²/Å.
    pub flux: Vec<f32>,
    /// Its inverse variance.
    pub ivar: Vec<f32>,
    /// Mask bits.
    pub mask: Vec<u32>,
}

impl Camera {
    /// Sets an arm up.
    #[must_use]
    pub fn new(arm: Arm) -> Self {
        let wave_angstrom = arm.wave_angstrom();
        let range = arm.scored_angstrom();
        let scored = wave_angstrom.partition_point(|w| *w < range.start)
            ..wave_angstrom.partition_point(|w| *w < range.end);
        Self { arm, sky_ivar: sky_ivar(arm, &wave_angstrom), wave_angstrom, scored }
    }

    /// A row without data: all zeros, the mask too.
    #[must_use]
    pub fn blank(&self) -> Row {
        let width = self.arm.width();
        Row { flux: vec![0.0; width], ivar: vec![0.0; width], mask: vec![0; width] }
    }

    /// A target's spectrum with noise and blemishes.
    #[must_use]
    pub fn expose(&self, target: &Target, depth: f64, dice: &mut Dice) -> Row {
        let mut row = self.blank();
        spectra::continuum(target, &self.wave_angstrom, &mut row.flux);
        spectra::add_lines(target, &self.wave_angstrom, &mut row.flux);
        for ((flux, ivar), sky) in row.flux.iter_mut().zip(&mut row.ivar).zip(&self.sky_ivar) {
            let background = sky * depth as f32;
            *ivar = background / (1.0 + flux.max(0.0) * background / 300.0);
            *flux += dice.noise() / ivar.sqrt();
        }
        let blemishes = (self.arm.width() as f64 * BLEMISHED).round() as usize;
        for blemish in 0..blemishes {
            let pixel = dice.below(row.mask.len());
            let is_lost = blemish % 8 == 0;
            row.mask[pixel] |= pixel_bit::SOMEBADPIX;
            row.ivar[pixel] *= if is_lost { 0.0 } else { 0.5 };
            if is_lost {
                row.mask[pixel] |= pixel_bit::ALLBADPIX | pixel_bit::COSMIC;
            }
        }
        row
    }

    /// The scores of a row that was observed to some depth.
    #[must_use]
    pub fn score(&self, row: &Row, depth: f64) -> Score {
        let flux = &row.flux[self.scored.clone()];
        let ivar = &row.ivar[self.scored.clone()];
        let sum: f64 = flux.iter().filter(|f| !f.is_nan()).map(|f| f64::from(*f)).sum();
        let snr = flux.iter().zip(ivar).map(|(f, i)| f * i.sqrt()).collect();
        Score {
            flux_integral: (sum * STEP_ANGSTROM) as f32,
            flux_median: median(flux.to_vec()),
            snr_median: median(snr) / (STEP_ANGSTROM as f32).sqrt(),
            good_pixels: row.ivar.iter().filter(|i| **i > 0.0).count(),
            depth,
        }
    }
}

/// The middle value; NaN where one is among them, 0 of none.
fn median(mut values: Vec<f32>) -> f32 {
    if values.iter().any(|v| v.is_nan()) {
        return f32::NAN;
    }
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    let is_even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
    let upper = *upper;
    match below.iter().copied().max_by(f32::total_cmp) {
        Some(lower) if is_even => (lower + upper) / 2.0,
        _ => upper,
    }
}

/// Inverse variance of blank sky in a good exposure of 1000 s.
fn sky_ivar(arm: Arm, wave_angstrom: &[f64]) -> Vec<f32> {
    // the same forest of night-sky lines over every tile and night
    let mut dice = Seed::new(5577, 0, 0).dice_of(Purpose::Glow, arm as usize, 0);
    let forest: Vec<f64> = match arm {
        Arm::B => Vec::new(),
        Arm::R => (0..60).map(|_| dice.uniform(6200.0, 7620.0)).collect(),
        Arm::Z => (0..100).map(|_| dice.uniform(7520.0, 9824.0)).collect(),
    };
    let named = [5578.9, 6302.0, 6365.5];
    let (first, last) = (wave_angstrom[0], wave_angstrom[wave_angstrom.len() - 1]);
    let ivar = wave_angstrom.iter().map(|&wave| {
        let dark = match arm {
            Arm::B => 0.25 + 5.6 / (1.0 + (-(wave - 3950.0) / 170.0).exp()),
            Arm::R => 18.0,
            Arm::Z => 29.0,
        };
        let glow = named.iter().chain(&forest).filter(|line| (wave - **line).abs() < 10.0);
        let lines: f64 =
            glow.map(|l| 1.0 - 0.75 * (-0.5 * ((wave - l) / 1.3).powi(2)).exp()).product();
        let fall = |distance: f64| 0.6 * (-distance / 60.0).exp();
        let edge = match arm {
            Arm::B => 1.0,
            _ => 1.0 - fall(wave - first) - fall(last - wave),
        };
        (dark * lines * edge.max(0.1)) as f32
    });
    ivar.collect()
}

/// Diagonals of a resolution matrix.
pub const DIAGONALS: usize = 11;
/// Different line spreads in the bank.
const BANK: usize = 16;

/// A few resolution matrices (band storage, big-endian f32 `[DIAGONALS][width]`) to choose from.
pub struct ResolutionBank {
    matrices: Vec<Vec<u8>>,
    none: Vec<u8>,
}

impl ResolutionBank {
    /// The matrices of an arm.
    #[must_use]
    pub fn new(arm: Arm) -> Self {
        let matrices: Vec<_> = (0..BANK).map(|i| resolution(arm, i)).collect();
        Self { matrices, none: vec![0; DIAGONALS * arm.width() * size_of::<f32>()] }
    }

    /// The matrix of a row; zeros where the arm has no data.
    #[must_use]
    pub fn of(&self, target: &Target, depth: f64) -> &[u8] {
        if depth == 0.0 {
            return &self.none;
        }
        let place = target.objid.unsigned_abs() as usize % BANK;
        &self.matrices[place]
    }
}

fn resolution(arm: Arm, number: usize) -> Vec<u8> {
    let width = arm.width();
    let scale = 0.94 + 0.12 * number as f64 / (BANK - 1) as f64;
    let [low, high] = arm.line_spread_pixels();
    let kernels = (0..width).map(|i| {
        let sigma = scale * (low + (high - low) * i as f64 / (width - 1) as f64);
        let bell: [f64; DIAGONALS] = std::array::from_fn(|d| {
            let offset = d as f64 - (DIAGONALS / 2) as f64;
            (-0.5 * (offset / sigma).powi(2)).exp()
        });
        let total: f64 = bell.iter().sum();
        bell.map(|b| (b / total) as f32)
    });
    let kernels: Vec<_> = kernels.collect();
    (0..DIAGONALS).flat_map(|d| kernels.iter().flat_map(move |k| k[d].to_be_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_end_where_the_releases_end() {
        let ends = [5800.0000000005, 7620.000000000423, 9824.000000000524];
        for (arm, end) in Arm::ALL.into_iter().zip(ends) {
            assert_eq!(arm.wave_angstrom().last(), Some(&end));
        }
    }

    #[test]
    fn medians_are_those_of_statistics() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(vec![1.0, f32::NAN]).is_nan());
    }
}
