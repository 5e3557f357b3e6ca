//! Tile-compressed images through cfitsio: the only file that knows it.
//!
//! Only images come here: the fitsio crate panics on tables with columns of variable length.
//! Calls are made one at a time, since a cfitsio may be built without being thread-safe; an image
//! stays open, since opening takes ten times as long as reading a row.

use super::{Error, Place};
use fitsio::FitsFile;
use fitsio::hdu::{FitsHdu, HduInfo};
use fitsio::threadsafe_fitsfile::ThreadsafeFitsFile;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

static CFITSIO: Mutex<()> = Mutex::new(());

/// A tile-compressed image of whole numbers.
pub struct CompressedImage {
    /// `None` once it is closed.
    file: Mutex<Option<ThreadsafeFitsFile>>,
    hdu: FitsHdu,
    name: String,
    width: usize,
    rows: usize,
}

impl CompressedImage {
    /// Looks at an image by name.
    ///
    /// # Errors
    /// [`Error::Compressed`] with what cfitsio says; [`Error::Form`] for anything but 2 axes.
    pub fn open(path: &Path, name: &str) -> Result<Self, Error> {
        let _one = CFITSIO.lock().unwrap_or_else(PoisonError::into_inner);
        let fail = |e: fitsio::errors::Error| Error::Compressed(format!("{name}: {e}"));
        let mut file = FitsFile::open(path).map_err(fail)?;
        let hdu = file.hdu(name).map_err(fail)?;
        let (width, rows) = match &hdu.info {
            HduInfo::ImageInfo { shape, .. } if shape.len() == 2 => (shape[1], shape[0]),
            other => {
                return Err(Error::Form {
                    hdu: name.to_owned(),
                    found: format!("{other:?}"),
                    wanted: "an image of 2 axes",
                });
            }
        };
        let file = Mutex::new(Some(file.threadsafe()));
        Ok(Self { file, hdu, name: name.to_owned(), width, rows })
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

    /// Reads `out.len()` pixels as 32 bits.
    ///
    /// # Errors
    /// [`Error::Compressed`]; [`Error::Missing`] for a row or pixels that are not there.
    pub fn read_bits(&self, from: Place, out: &mut [i32]) -> Result<(), Error> {
        let fits = from.pixel.checked_add(out.len()).is_some_and(|end| end <= self.width);
        if from.row >= self.rows || !fits {
            return Err(Error::Missing(format!("row {} of {} pixels", from.row, out.len())));
        }
        let _one = CFITSIO.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let fail = |e: fitsio::errors::Error| Error::Compressed(format!("{}: {e}", self.name));
        let Some(file) = &*held else { return Err(Error::Missing(self.name.clone())) };
        // i64 holds what is stored as signed and as unsigned 32 bits
        let start = from.row * self.width + from.pixel;
        let mut file = file.lock().map_err(fail)?;
        let stored: Vec<i64> =
            self.hdu.read_section(&mut file, start, start + out.len()).map_err(fail)?;
        for (bits, value) in out.iter_mut().zip(stored) {
            *bits = value as i32;
        }
        Ok(())
    }
}

impl Drop for CompressedImage {
    fn drop(&mut self) {
        let _one = CFITSIO.lock().unwrap_or_else(PoisonError::into_inner);
        self.file.get_mut().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl fmt::Debug for CompressedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CompressedImage({})", self.name)
    }
}
