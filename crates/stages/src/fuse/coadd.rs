//! The coadd file's spectra: three arms of one wavelength grid each, read row by row.
//!
//! A fused row holds the arms one after the other, B, R, Z, each cut to the wavelengths that are
//! kept; where arms overlap, both stay.

use super::findings::Findings;
use crate::fits::compressed::CompressedImage;
use crate::fits::{Error, Fits, Image, Place};
use bifrost_core::outcome::Outcome;
use rayon::prelude::*;
use std::ops::Range;

/// The arms, in the order of the fused row.
pub const ARMS: [&str; 3] = ["B", "R", "Z"];
/// Start (Å), step (Å) and pixels of the release's grids.
const STANDARD: [(f64, f64, usize); 3] =
    [(3600.0, 0.8, 2751), (5760.0, 0.8, 2326), (7520.0, 0.8, 2881)];
/// Wavelengths this close (Å) are the same.
const SAME_ANGSTROM: f64 = 1e-3;

/// Pixels of some rows, row after row, arms stacked.
#[derive(Debug, Default, Clone)]
pub struct Pixels {
    /// 10⁻¹⁷ erg/s/cm²/Å; 0 where it was not finite.
    pub flux: Vec<f32>,
    /// Inverse variance; 0 where flux or ivar was not finite.
    pub ivar: Vec<f32>,
    /// Mask bits.
    pub mask: Vec<i32>,
    /// For each row, pixels of each arm with ivar above 0 and no mask bit.
    pub good: Vec<[i32; 3]>,
    /// Pixels that were not finite.
    pub repaired: u64,
}

#[derive(Debug)]
enum Mask {
    Plain(Image),
    Compressed(CompressedImage),
}

#[derive(Debug)]
struct Arm {
    flux: Image,
    ivar: Image,
    mask: Mask,
    first: usize,
    count: usize,
}

/// The spectra of an open coadd file.
#[derive(Debug)]
pub struct Spectra {
    arms: Vec<Arm>,
    rows: usize,
    wavelength: Vec<f64>,
}

impl Spectra {
    /// Checks all arms of a coadd file; `None` where something is wrong, which is then in `findings`.
    pub fn open(
        fits: &Fits,
        rows: Option<usize>,
        cut_angstrom: (f64, f64),
        findings: &mut Findings,
    ) -> Option<Self> {
        let mut arms = Vec::new();
        let mut wavelength = Vec::new();
        for (arm, standard) in ARMS.iter().zip(STANDARD) {
            match Arm::open(fits, arm, rows, cut_angstrom) {
                Ok((opened, grid)) => {
                    if !is_standard(&grid, standard) {
                        findings.note(format!("the {arm} arm has a wavelength grid of its own"));
                    }
                    wavelength.extend_from_slice(&grid[opened.first..][..opened.count]);
                    arms.push(opened);
                }
                Err(Fault::Fits(error)) => findings.unreadable("coadd", &error),
                Err(Fault::Shape(reason)) => {
                    findings.add(Outcome::Corrupt, format!("coadd: {reason}"));
                }
            }
        }
        let rows = arms.first()?.flux.rows();
        (arms.len() == ARMS.len()).then_some(Self { arms, rows, wavelength })
    }

    /// Rows in the file.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The stacked grid, Å.
    #[must_use]
    pub fn wavelength(&self) -> &[f64] {
        &self.wavelength
    }

    /// Pixels of a fused row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.wavelength.len()
    }

    /// Reads rows in the order given into `pixels`, whose buffers are used again.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read(&self, rows: &[u32], pixels: &mut Pixels) -> Result<(), Error> {
        let width = self.width();
        let total = rows.len() * width;
        pixels.flux.resize(total, 0.0);
        pixels.ivar.resize(total, 0.0);
        pixels.mask.resize(total, 0);
        pixels.good.clear();
        pixels.repaired = 0;
        let mut buffer = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            let mut good = [0; 3];
            let mut start = i * width;
            for (arm, good) in self.arms.iter().zip(&mut good) {
                let range = start..start + arm.count;
                *good = arm.read(*row as usize, range, pixels, &mut buffer)?;
                start += arm.count;
            }
            pixels.good.push(good);
        }
        Ok(())
    }
}

impl Spectra {
    /// Counts the good pixels of rows, arm by arm.
    ///
    /// # Errors
    /// Those of reading.
    pub fn count_good(&self, rows: &[u32]) -> Result<Vec<[i32; 3]>, Error> {
        let blocks: Vec<Vec<[i32; 3]>> = rows
            .par_chunks(16)
            .map(|rows| {
                let mut pixels = Pixels::default();
                self.read(rows, &mut pixels)?;
                Ok(pixels.good)
            })
            .collect::<Result<_, Error>>()?;
        Ok(blocks.concat())
    }
}

enum Fault {
    Fits(Error),
    Shape(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Fits(error)
    }
}

impl Arm {
    /// Opens an arm with its whole grid.
    fn open(
        fits: &Fits,
        arm: &str,
        rows: Option<usize>,
        cut_angstrom: (f64, f64),
    ) -> Result<(Self, Vec<f64>), Fault> {
        let wave = fits.image(&format!("{arm}_WAVELENGTH"))?;
        let flux = fits.image(&format!("{arm}_FLUX"))?;
        let ivar = fits.image(&format!("{arm}_IVAR"))?;
        let mask = open_mask(fits, &format!("{arm}_MASK"))?;
        let mask_shape = match &mask {
            Mask::Plain(image) => (image.rows(), image.width()),
            Mask::Compressed(image) => (image.rows(), image.width()),
        };
        let shapes = [
            (flux.rows(), flux.width()),
            (ivar.rows(), ivar.width()),
            mask_shape,
            (rows.unwrap_or(flux.rows()), wave.width()),
        ];
        if shapes.iter().any(|shape| *shape != shapes[0]) || wave.rows() != 1 {
            let shapes = shapes.map(|(rows, width)| format!("{rows}×{width}"));
            return Err(Fault::Shape(format!(
                "the {arm} arm's parts do not fit together: flux {}, ivar {}, mask {}, \
                 targets × wavelengths {}",
                shapes[0], shapes[1], shapes[2], shapes[3]
            )));
        }
        let mut grid = vec![0.0; wave.width()];
        wave.read_f64(Place { row: 0, pixel: 0 }, &mut grid, &mut Vec::new())?;
        let grows = grid.windows(2).all(|w| w[0] < w[1]);
        if grid.is_empty() || !grows || !grid.iter().all(|w| w.is_finite() && *w > 0.0) {
            return Err(Fault::Shape(format!("the wavelengths of the {arm} arm do not grow")));
        }
        let first = grid.partition_point(|w| *w < cut_angstrom.0 - SAME_ANGSTROM);
        let end = grid.partition_point(|w| *w <= cut_angstrom.1 + SAME_ANGSTROM);
        let count = end.saturating_sub(first);
        Ok((Self { flux, ivar, mask, first, count }, grid))
    }

    /// Reads the arm of one row into `range` of the pixels; counts the good ones.
    fn read(
        &self,
        row: usize,
        range: Range<usize>,
        pixels: &mut Pixels,
        buffer: &mut Vec<u8>,
    ) -> Result<i32, Error> {
        let from = Place { row, pixel: self.first };
        let flux = &mut pixels.flux[range.clone()];
        let ivar = &mut pixels.ivar[range.clone()];
        let mask = &mut pixels.mask[range];
        self.flux.read_f32(from, flux, buffer)?;
        self.ivar.read_f32(from, ivar, buffer)?;
        match &self.mask {
            Mask::Plain(image) => image.read_bits(from, mask, buffer)?,
            Mask::Compressed(image) => image.read_bits(from, mask)?,
        }
        let repaired = repair(flux, ivar);
        pixels.repaired += u64::from(repaired);
        Ok(count_good(ivar, mask))
    }
}

fn open_mask(fits: &Fits, name: &str) -> Result<Mask, Error> {
    if fits.hdu(name)?.is_compressed_image() {
        CompressedImage::open(fits.path(), name).map(Mask::Compressed)
    } else {
        fits.image(name).map(Mask::Plain)
    }
}

/// Sets flux and ivar to 0 where either is not finite; says how often.
fn repair(flux: &mut [f32], ivar: &mut [f32]) -> u32 {
    const EXPONENT: u32 = 0x7f80_0000;
    let mut count = 0;
    for (flux, ivar) in flux.iter_mut().zip(ivar) {
        let bad = flux.to_bits() & EXPONENT == EXPONENT || ivar.to_bits() & EXPONENT == EXPONENT;
        *flux = if bad { 0.0 } else { *flux };
        *ivar = if bad { 0.0 } else { *ivar };
        count += u32::from(bad);
    }
    count
}

fn count_good(ivar: &[f32], mask: &[i32]) -> i32 {
    ivar.iter().zip(mask).map(|(ivar, mask)| i32::from(*ivar > 0.0 && *mask == 0)).sum()
}

fn is_standard(grid: &[f64], (start, step, count): (f64, f64, usize)) -> bool {
    let near = |(i, w): (usize, &f64)| (w - start - i as f64 * step).abs() < SAME_ANGSTROM;
    grid.len() == count && grid.iter().enumerate().all(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_zero_without_weight() {
        let mut flux = [1.0, f32::NAN, f32::INFINITY, 4.0, -5.0];
        let mut ivar = [1.0, 2.0, 3.0, f32::NAN, 0.0];
        assert_eq!(repair(&mut flux, &mut ivar), 3);
        assert_eq!((flux, ivar), ([1.0, 0.0, 0.0, 0.0, -5.0], [1.0, 0.0, 0.0, 0.0, 0.0]));
        assert_eq!(count_good(&ivar, &[0, 0, 0, 0, 0]), 1);
        assert_eq!(count_good(&ivar, &[4, 0, 0, 0, 0]), 0);
    }

    #[test]
    fn grids_are_compared_with_tolerance() {
        let step = (3600.0f64 + 0.8) - 3600.0;
        let grid: Vec<f64> = (0..2751).map(|i| 3600.0 + f64::from(i) * step).collect();
        assert!(is_standard(&grid, STANDARD[0]));
        assert!(!is_standard(&grid[1..], STANDARD[0]));
    }
}
