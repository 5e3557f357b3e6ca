//! Plain images, read by rows.

use super::{Error, Hdu, element_bytes};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// An image of one row or more; a row is NAXIS1 pixels.
#[derive(Debug, Clone)]
pub struct Image {
    file: Arc<File>,
    offset: u64,
    bitpix: i64,
    width: usize,
    rows: usize,
    zero: f64,
    scale: f64,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Row, from 0.
    pub row: usize,
    /// Pixel in that row, from 0.
    pub pixel: usize,
}

impl Image {
    pub(super) fn new(file: Arc<File>, hdu: &Hdu) -> Result<Self, Error> {
        let header = &hdu.header;
        if header.text("XTENSION") != Some("IMAGE") {
            let found = if hdu.is_compressed_image() { "a compressed image" } else { "no image" };
            return Err(Error::Form {
                hdu: hdu.name.clone(),
                found: found.into(),
                wanted: "an image",
            });
        }
        element_bytes(header)?;
        let axis = |keyword: &str| {
            usize::try_from(header.size(keyword)?).map_err(|_| Error::Card(keyword.to_owned()))
        };
        let (width, rows) = match axis("NAXIS")? {
            1 => (axis("NAXIS1")?, 1),
            2 => (axis("NAXIS1")?, axis("NAXIS2")?),
            axes => {
                return Err(Error::Form {
                    hdu: hdu.name.clone(),
                    found: format!("an image of {axes} axes"),
                    wanted: "one of 1 or 2",
                });
            }
        };
        Ok(Self {
            file,
            offset: hdu.offset,
            bitpix: header.integer("BITPIX").unwrap_or_default(),
            width,
            rows,
            zero: header.real("BZERO").unwrap_or(0.0),
            scale: header.real("BSCALE").unwrap_or(1.0),
        })
    }

    /// Pixels in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of a pixel.
    #[must_use]
    pub fn item_bytes(&self) -> usize {
        (self.bitpix.unsigned_abs() / 8) as usize
    }

    fn is_scaled(&self) -> bool {
        self.zero != 0.0 || self.scale != 1.0
    }

    /// Reads pixels of a row as they are stored.
    fn read_raw(&self, from: Place, pixels: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        let fits = from.pixel.checked_add(pixels).is_some_and(|end| end <= self.width);
        if from.row >= self.rows || !fits {
            return Err(Error::Missing(format!("row {} of {pixels} pixels", from.row)));
        }
        // both products are parts of a size that was held against the file's length
        let at = (from.row * self.width + from.pixel) * self.item_bytes();
        out.resize(pixels * self.item_bytes(), 0);
        self.file.read_exact_at(out, self.offset + at as u64)?;
        Ok(())
    }

    /// Reads `out.len()` pixels as f32. `buffer` is scratch space.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Missing`] for a row or pixels that are not there.
    pub fn read_f32(
        &self,
        from: Place,
        out: &mut [f32],
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.read_raw(from, out.len(), buffer)?;
        if self.bitpix == -32 && !self.is_scaled() {
            for (value, bytes) in out.iter_mut().zip(buffer.as_chunks::<4>().0) {
                *value = f32::from_be_bytes(*bytes);
            }
        } else {
            self.decode(buffer, |i, x| out[i] = x as f32);
        }
        Ok(())
    }

    /// Reads `out.len()` pixels as f64.
    ///
    /// # Errors
    /// As [`Image::read_f32`].
    pub fn read_f64(
        &self,
        from: Place,
        out: &mut [f64],
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.read_raw(from, out.len(), buffer)?;
        self.decode(buffer, |i, x| out[i] = x);
        Ok(())
    }

    /// Reads `out.len()` pixels as bits; unsigned ones (BZERO 2³¹) keep theirs.
    ///
    /// # Errors
    /// As [`Image::read_f32`], and [`Error::Form`] for pixels that are no whole numbers of 32 bits.
    pub fn read_bits(
        &self,
        from: Place,
        out: &mut [i32],
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.read_raw(from, out.len(), buffer)?;
        if self.bitpix == 32 && self.scale == 1.0 && (self.zero == 0.0 || self.zero == 2147483648.0)
        {
            // adding 2³¹ and keeping 32 bits is turning the top bit
            let turn = if self.zero == 0.0 { 0 } else { i32::MIN };
            for (value, bytes) in out.iter_mut().zip(buffer.as_chunks::<4>().0) {
                *value = i32::from_be_bytes(*bytes) ^ turn;
            }
            return Ok(());
        }
        let mut fits = self.bitpix > 0;
        self.decode(buffer, |i, x| {
            fits &= x.fract() == 0.0 && (-2147483648.0..4294967296.0).contains(&x);
            out[i] = x as i64 as i32;
        });
        if fits {
            Ok(())
        } else {
            Err(Error::Form {
                hdu: "a mask".into(),
                found: format!("of BITPIX {}", self.bitpix),
                wanted: "whole numbers of 32 bits",
            })
        }
    }

    fn decode(&self, bytes: &[u8], mut put: impl FnMut(usize, f64)) {
        let mut scaled = |i, x: f64| {
            put(i, if self.is_scaled() { x * self.scale + self.zero } else { x });
        };
        macro_rules! each {
            ($kind:ty, $size:literal) => {
                for (i, item) in bytes.as_chunks::<$size>().0.iter().enumerate() {
                    scaled(i, <$kind>::from_be_bytes(*item) as f64);
                }
            };
        }
        match self.bitpix {
            8 => each!(u8, 1),
            16 => each!(i16, 2),
            32 => each!(i32, 4),
            64 => each!(i64, 8),
            -32 => each!(f32, 4),
            _ => each!(f64, 8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{image, opened, part, primary};
    use super::*;

    fn at(row: usize, pixel: usize) -> Place {
        Place { row, pixel }
    }

    #[test]
    fn rows_are_read_alone() {
        let data: Vec<u8> = (0..6).flat_map(|i| (i as f32 + 0.5).to_be_bytes()).collect();
        let (_dir, fits) = opened(&[primary(), image("F", -32, &[3, 2], &data)]);
        let fits = fits.expect("opened");
        let image = fits.image("F").expect("an image");
        let mut row = [0f32; 2];
        image.read_f32(at(1, 0), &mut row, &mut Vec::new()).expect("read");
        assert_eq!(row, [3.5, 4.5]);
        image.read_f32(at(0, 1), &mut row, &mut Vec::new()).expect("read");
        assert_eq!(row, [1.5, 2.5]);
        assert!(image.read_f32(at(2, 0), &mut row, &mut Vec::new()).is_err());
        assert!(image.read_f32(at(0, 2), &mut row, &mut Vec::new()).is_err());
        assert!(image.read_f32(at(0, 0), &mut [0.0; 4], &mut Vec::new()).is_err());
    }

    #[test]
    fn unsigned_masks_keep_their_bits() {
        let cards = [
            "XTENSION= 'IMAGE   '",
            "BITPIX  = 32",
            "NAXIS   = 1",
            "NAXIS1  = 3",
            "BZERO   = 2147483648",
            "BSCALE  = 1",
            "EXTNAME = 'M'",
        ];
        let stored = [i32::MIN, i32::MIN + 5, i32::MAX];
        let data: Vec<u8> = stored.iter().flat_map(|i| i.to_be_bytes()).collect();
        let (_dir, fits) = opened(&[primary(), part(&cards.map(str::to_owned), &data)]);
        let fits = fits.expect("opened");
        let mut bits = [0; 3];
        fits.image("M")
            .expect("an image")
            .read_bits(at(0, 0), &mut bits, &mut Vec::new())
            .expect("read");
        assert_eq!(bits, [0, 5, -1]);
    }
}
