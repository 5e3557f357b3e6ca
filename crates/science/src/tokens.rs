//! Spectra as a transformer reads them: cut into patches, normalised, with their errors; after Shen et
//! al. 2025 (arXiv 2510.17959), whose tokenizer has patches of 32 pixels and 512 dimensions.
//!
//! A pixel is *good* if its ivar is above 0, and flux and ivar are finite. Of a spectrum of `n` pixels,
//! in patches of `p`:
//!
//! | | shape | |
//! |:--|:--|:--|
//! | tokens | (⌈n/p⌉, 2p) f32 | of each patch `p` values of flux, then `p` of σ |
//! | masked | (⌈n/p⌉) bool | more than half of the patch's pixels are bad: no key for attention |
//! | median | f32 | of the flux of good pixels; the mean of the middle two; NaN without any |
//! | flag | u8 | [`FLOORED`], [`NEGATIVE`], [`EMPTY`] |
//! | positions | (⌈n/p⌉, dim) f32 | of the grid alone: [`positions()`] |
//!
//! ```text
//! factor  =  1 / max(|median|, MEDIAN_FLOOR)        1 without a good pixel
//! flux    =  flux · factor                          0 where it is bad
//! σ       =  factor / sqrt(max(ivar, IVAR_FLOOR))   with ivar 0 where it is bad: 1e4 · factor
//! ```
//!
//! So a spectrum keeps its sign whatever the sign of its median. The last patch is filled up with bad
//! pixels: of 7,781 pixels in patches of 32 the 244th has 5 and is always masked, in patches of 64 the
//! 122nd has 37 and is masked as any other.
//!
//! ```
//! use bifrost_science::{grid::COADDED, tokens::Tokenizer};
//!
//! let (flux, ivar) = (vec![3.0; 7781], vec![4.0; 7781]);
//! let tokenizer = Tokenizer::new(32, COADDED.pixels())?;
//! let made = tokenizer.tokens(&flux, &ivar, 1)?;
//! assert_eq!((tokenizer.patches(), made.tokens.len(), made.median[0]), (244, 244 * 64, 3.0));
//! assert_eq!((made.tokens[0], made.tokens[32]), (1.0, 0.5 / 3.0));
//! assert!(!made.masked[0] && made.masked[243]);
//! # Ok::<(), bifrost_science::tokens::Error>(())
//! ```

mod kernel;
mod median;
mod past;
mod positions;

pub use positions::positions;

use rayon::prelude::*;

/// Least |median| (10⁻¹⁷ erg/s/cm²/Å) that a spectrum is divided by: what noise alone gives, since the
/// median of 7,781 pixels with an error of 1 has one of 0.014.
pub const MEDIAN_FLOOR: f32 = 0.01;
/// Least ivar that an error is computed of.
pub const IVAR_FLOOR: f32 = 1e-8;
/// Bit of the flag: |median| is less than [`MEDIAN_FLOOR`], which was used instead.
pub const FLOORED: u8 = 1;
/// Bit of the flag: the median is below 0.
pub const NEGATIVE: u8 = 2;
/// Bit of the flag: no pixel is good.
pub const EMPTY: u8 = 4;

/// Why there are no tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A patch of another size.
    #[error("patches have 32 or 64 pixels, not {0}")]
    Patch(usize),
    /// A spectrum without pixels.
    #[error("spectra without pixels have no tokens")]
    NoPixels,
    /// Arrays that are not whole spectra, or not of as many.
    #[error("{what} has {found} values, not {expected}: {rows} spectra of {pixels} pixels")]
    Length {
        /// Whose.
        what: &'static str,
        /// Values that it has.
        found: usize,
        /// Values that it should have.
        expected: usize,
        /// Spectra, by the length of the flux.
        rows: usize,
        /// Pixels of a spectrum.
        pixels: usize,
    },
    /// Dimensions that sines and cosines do not fill.
    #[error("a positional encoding has an even number of dimensions, 2 to 65,536, not {0}")]
    Dimensions(usize),
}

/// Makes tokens of spectra of one grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokenizer {
    patch: usize,
    pixels: usize,
}

/// What is made of spectra, one after another.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    /// (rows, patches, 2·patch).
    pub tokens: Vec<f32>,
    /// (rows, patches): true where attention is to leave the patch out, as `key_padding_mask` of torch.
    pub masked: Vec<bool>,
    /// (rows): median flux, 10⁻¹⁷ erg/s/cm²/Å; NaN without a good pixel.
    pub median: Vec<f32>,
    /// (rows): [`FLOORED`], [`NEGATIVE`], [`EMPTY`].
    pub flag: Vec<u8>,
}

/// Buffers for [`Tokens`], whatever they hold.
#[derive(Debug)]
pub struct TokensMut<'a> {
    /// As [`Tokens::tokens`].
    pub tokens: &'a mut [f32],
    /// As [`Tokens::masked`].
    pub masked: &'a mut [bool],
    /// As [`Tokens::median`].
    pub median: &'a mut [f32],
    /// As [`Tokens::flag`].
    pub flag: &'a mut [u8],
}

impl Tokenizer {
    /// For spectra of so many pixels, in patches of 32 or 64.
    ///
    /// # Errors
    /// Another size of a patch; no pixels.
    pub fn new(patch: usize, pixels: usize) -> Result<Self, Error> {
        match (patch, pixels) {
            (_, 0) => Err(Error::NoPixels),
            (32 | 64, _) => Ok(Self { patch, pixels }),
            _ => Err(Error::Patch(patch)),
        }
    }

    /// Patches of a spectrum.
    #[must_use]
    pub fn patches(self) -> usize {
        self.pixels.div_ceil(self.patch)
    }

    /// Values of a patch: flux and σ of each of its pixels.
    #[must_use]
    pub fn width(self) -> usize {
        2 * self.patch
    }

    /// Tokens of spectra that lie one after another in `flux` (10⁻¹⁷ erg/s/cm²/Å) and `ivar`, made by
    /// up to `threads` threads.
    ///
    /// # Errors
    /// Arrays of other lengths.
    pub fn tokens(self, flux: &[f32], ivar: &[f32], threads: usize) -> Result<Tokens, Error> {
        let rows = flux.len() / self.pixels;
        let mut made = Tokens {
            tokens: vec![0.0; rows * self.patches() * self.width()],
            masked: vec![false; rows * self.patches()],
            median: vec![0.0; rows],
            flag: vec![0; rows],
        };
        let Tokens { tokens, masked, median, flag } = &mut made;
        self.tokens_into(flux, ivar, threads, TokensMut { tokens, masked, median, flag })?;
        Ok(made)
    }

    /// [`Tokenizer::tokens`] into buffers that are there.
    ///
    /// # Errors
    /// Arrays of other lengths.
    pub fn tokens_into(
        self,
        flux: &[f32],
        ivar: &[f32],
        threads: usize,
        into: TokensMut<'_>,
    ) -> Result<(), Error> {
        let rows = flux.len() / self.pixels;
        let patches = rows * self.patches();
        for (what, found, expected) in [
            ("flux", flux.len(), rows * self.pixels),
            ("ivar", ivar.len(), rows * self.pixels),
            ("the buffer for tokens", into.tokens.len(), patches * self.width()),
            ("the buffer for the mask", into.masked.len(), patches),
            ("the buffer for medians", into.median.len(), rows),
            ("the buffer for flags", into.flag.len(), rows),
        ] {
            if found != expected {
                return Err(Error::Length { what, found, expected, rows, pixels: self.pixels });
            }
        }
        let together = rows.div_ceil(threads.max(1)).max(1);
        if together >= rows {
            self.part(flux, ivar, into);
            return Ok(());
        }
        let TokensMut { tokens, masked, median, flag } = into;
        flux.par_chunks(together * self.pixels)
            .zip(ivar.par_chunks(together * self.pixels))
            .zip(tokens.par_chunks_mut(together * self.patches() * self.width()))
            .zip(masked.par_chunks_mut(together * self.patches()))
            .zip(median.par_chunks_mut(together).zip(flag.par_chunks_mut(together)))
            .for_each(|((((flux, ivar), tokens), masked), (median, flag))| {
                self.part(flux, ivar, TokensMut { tokens, masked, median, flag });
            });
        Ok(())
    }

    /// On this thread.
    fn part(self, flux: &[f32], ivar: &[f32], into: TokensMut<'_>) {
        match self.patch {
            32 => kernel::rows::<32>(self, flux, ivar, into),
            _ => kernel::rows::<64>(self, flux, ivar, into),
        }
    }
}

#[cfg(test)]
mod tests;
