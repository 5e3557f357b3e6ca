//! A spectrum's arms become one spectrum on the grid [`COADDED`]: the inverse-variance weighted mean,
//! so that each overlap is used once.
//!
//! A pixel of an arm is *good* if it has no mask bit, its ivar is above 0, and flux and ivar are
//! finite. Of the pixels of the arms at one wavelength
//!
//! ```text
//! ivar  =  Σ ivar          over the good ones
//! flux  =  Σ ivar·flux / Σ ivar
//! mask  =  0               if any is good, whatever the others' masks say
//!          OR of all masks if none is good; flux and ivar are 0 then
//! ```
//!
//! and where no arm has a pixel, because the range was cut, flux, ivar and mask are 0. So `ivar > 0`
//! alone says whether a pixel is good.
//!
//! This is what `coadd_cameras` of desispec does, but for:
//!
//! 1. Where every arm is masked, newer versions of desispec fall back on the unmasked mean and keep
//!    the mask, so that ivar may be above 0 where the mask is set; older ones give flux and ivar 0,
//!    as here, but a mask of 0 wherever arms overlap.
//! 2. It combines exposures, leaves out those of bad fibres, may clip cosmic rays and propagates the
//!    resolution. Here each arm is one spectrum, in which that was done, and resolution is left out.
//! 3. Its grid ends where the arms do, and its tolerance is 1e-4 Å; here the grid is always the same.
//! 4. It adds up in f32. Here sums are in f64 and rounded once, so that the pixel of one good arm
//!    keeps its flux to the last bit.
//!
//! ```
//! use bifrost_science::{coadd::coadd, grid::COADDED};
//!
//! let wavelength = [5759.2, 5760.0, 5760.0]; // the last is the r arm's first
//! let spectrum = coadd(&wavelength, &[1.0, 1.0, 4.0], &[1.0, 2.0, 1.0], &[0, 0, 0])?;
//! let there = COADDED.pixel(5760.0).unwrap();
//! assert_eq!((spectrum.flux[there], spectrum.ivar[there]), (2.0, 3.0));
//! # Ok::<(), bifrost_science::coadd::Error>(())
//! ```

use crate::grid::COADDED;

/// Why arms cannot be coadded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Arrays of a spectrum that do not belong together.
    #[error(
        "a spectrum of {wavelength} wavelengths has {flux} values of flux, {ivar} of ivar and \
         {mask} of the mask"
    )]
    Lengths {
        /// Number of wavelengths.
        wavelength: usize,
        /// Values of flux.
        flux: usize,
        /// Values of ivar.
        ivar: usize,
        /// Values of the mask.
        mask: usize,
    },
    /// A pixel that has no place.
    #[error(
        "wavelength {wavelength} Å of pixel {pixel} is not on the grid of 0.8 Å steps from 3600 to \
         9824 Å"
    )]
    OffGrid {
        /// The pixel's place in its spectrum.
        pixel: usize,
        /// Å.
        wavelength: f64,
    },
    /// A buffer for the result that is not of [`COADDED`]'s length.
    #[error("a buffer for coadded {what} has {found} pixels, not 7781")]
    Buffer {
        /// Whose.
        what: &'static str,
        /// Its length.
        found: usize,
    },
}

/// A spectrum on the grid [`COADDED`].
#[derive(Debug, Clone, PartialEq)]
pub struct Coadded {
    /// 10⁻¹⁷ erg/s/cm²/Å; 0 without weight.
    pub flux: Vec<f32>,
    /// Inverse variance of the flux; 0 without weight.
    pub ivar: Vec<f32>,
    /// 0 where there is weight, else all bits of the arms.
    pub mask: Vec<i32>,
}

/// Buffers for a spectrum on the grid [`COADDED`], whatever they hold: 7781 values each.
#[derive(Debug)]
pub struct CoaddedMut<'a> {
    /// As [`Coadded::flux`].
    pub flux: &'a mut [f32],
    /// As [`Coadded::ivar`].
    pub ivar: &'a mut [f32],
    /// As [`Coadded::mask`].
    pub mask: &'a mut [i32],
}

/// Coadds a spectrum's arms, which follow each other in any order, each cut to any range.
///
/// # Errors
/// Where the arrays differ in length, or a wavelength (Å) is not on the grid.
pub fn coadd(
    wavelength: &[f64],
    flux: &[f32],
    ivar: &[f32],
    mask: &[i32],
) -> Result<Coadded, Error> {
    let count = COADDED.pixels();
    let mut made = Coadded { flux: vec![0.0; count], ivar: vec![0.0; count], mask: vec![0; count] };
    let Coadded { flux: to_flux, ivar: to_ivar, mask: to_mask } = &mut made;
    let into = CoaddedMut { flux: to_flux, ivar: to_ivar, mask: to_mask };
    coadd_into(wavelength, flux, ivar, mask, into)?;
    Ok(made)
}

/// [`coadd`] into buffers that are there: nothing is allocated.
///
/// # Errors
/// Those of [`coadd`], and buffers of another length. What the buffers hold then is undefined.
pub fn coadd_into(
    wavelength: &[f64],
    flux: &[f32],
    ivar: &[f32],
    mask: &[i32],
    mut into: CoaddedMut<'_>,
) -> Result<(), Error> {
    let count = wavelength.len();
    if [flux.len(), ivar.len(), mask.len()] != [count; 3] {
        let (flux, ivar, mask) = (flux.len(), ivar.len(), mask.len());
        return Err(Error::Lengths { wavelength: count, flux, ivar, mask });
    }
    into.clear()?;
    let mut first = 0;
    // the pixels from the first to the last that an arm was put to
    let mut filled = 0..0;
    while first < count {
        let off = Error::OffGrid { pixel: first, wavelength: wavelength[first] };
        let pixel = COADDED.pixel(wavelength[first]).ok_or(off)?;
        let length = COADDED.follows(pixel, &wavelength[first..]);
        let arm = |from: usize, to: usize| {
            let part = first + from - pixel..first + to - pixel;
            (&flux[part.clone()], &ivar[part.clone()], &mask[part])
        };
        let end = pixel + length;
        let both = filled.start.clamp(pixel, end)..filled.end.clamp(pixel, end);
        into.put(pixel, arm(pixel, both.start));
        into.add(both.start, arm(both.start, both.end));
        into.put(both.end, arm(both.end, end));
        filled = match filled.is_empty() {
            true => pixel..end,
            false => filled.start.min(pixel)..filled.end.max(end),
        };
        first += length;
    }
    for (mask, ivar) in into.mask.iter_mut().zip(&*into.ivar) {
        *mask = if *ivar > 0.0 { 0 } else { *mask };
    }
    Ok(())
}

/// Flux, ivar and mask of some pixels.
type Part<'a> = (&'a [f32], &'a [f32], &'a [i32]);

impl CoaddedMut<'_> {
    fn clear(&mut self) -> Result<(), Error> {
        let lengths =
            [("flux", self.flux.len()), ("ivar", self.ivar.len()), ("mask", self.mask.len())];
        for (what, found) in lengths {
            if found != COADDED.pixels() {
                return Err(Error::Buffer { what, found });
            }
        }
        self.flux.fill(0.0);
        self.ivar.fill(0.0);
        self.mask.fill(0);
        Ok(())
    }

    /// Puts pixels to where none are, from `pixel` on.
    fn put(&mut self, pixel: usize, (flux, ivar, mask): Part<'_>) {
        let part = pixel..pixel + flux.len();
        self.mask[part.clone()].copy_from_slice(mask);
        let to = self.flux[part.clone()].iter_mut().zip(&mut self.ivar[part]);
        for ((to_flux, to_ivar), ((flux, ivar), mask)) in to.zip(flux.iter().zip(ivar).zip(mask)) {
            (*to_flux, *to_ivar) = weighed(*flux, *ivar, *mask);
        }
    }

    /// Adds pixels to those that may be there, from `pixel` on.
    fn add(&mut self, pixel: usize, (flux, ivar, mask): Part<'_>) {
        for (i, ((flux, ivar), mask)) in flux.iter().zip(ivar).zip(mask).enumerate() {
            let (to_flux, to_ivar) = (&mut self.flux[pixel + i], &mut self.ivar[pixel + i]);
            let (flux, ivar) = weighed(*flux, *ivar, *mask);
            *to_flux = mean((*to_flux, *to_ivar), (flux, ivar));
            *to_ivar += ivar;
            self.mask[pixel + i] |= mask;
        }
    }
}

/// Flux and ivar of a pixel; 0 if it is bad.
fn weighed(flux: f32, ivar: f32, mask: i32) -> (f32, f32) {
    // each comparison is false for NaN
    let is_good = (mask == 0) & (ivar > 0.0) & (ivar <= f32::MAX) & (flux.abs() <= f32::MAX);
    if is_good { (flux, ivar) } else { (0.0, 0.0) }
}

/// The weighted mean; 0 without weight. Exactly the one value where the other has no weight: the
/// product of two f32 is exact in f64.
fn mean(one: (f32, f32), other: (f32, f32)) -> f32 {
    let [one, other] = [one, other].map(|(flux, ivar)| (f64::from(flux), f64::from(ivar)));
    let weight = one.1 + other.1;
    let sum = one.0 * one.1 + other.0 * other.1;
    if weight > 0.0 { (sum / weight) as f32 } else { 0.0 }
}

#[cfg(test)]
mod tests;
