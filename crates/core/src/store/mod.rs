//! The spectra store: the arrays of all tiles of a pixel in one HDF5 file, made to be read one
//! spectrum at a time.
//!
//! ```text
//! LAKE/spectra-h5/Norder=6/Dir=10000/Npix=12712.h5
//!   /iron/main/dark        one group a tile: RELEASE/SURVEY/PROGRAM, rows in the order of its file
//!     flux, ivar, mask     (rows, pixels), a chunk a row
//!     wavelength           (pixels), once
//!     target_id            (rows)
//!     target_id_sorted, row   the same sorted, and in which row each is
//!   /main/dark             a link to the same, where no other release has it
//!   index                  after the end of what HDF5 knows of: see below
//! ```
//!
//! Any HDF5 library reads it. This crate has none: libraries of HDF5 let one thread in at a time. So
//! the file ends in an [`Index`], as a Parquet file ends in its footer: what each group was made of,
//! the checksum of all that is before it, and for each row where its chunks lie. A reader needs one
//! `pread` for the index and one for a spectrum, and decodes the chunks by itself (`chunk`).
//! HDF5 does not look beyond the end that its own header states, and is not disturbed.
//!
//! ```text
//! HDF5 file | length of JSON: u32 | JSON | chunks: 3 × 16 bytes a row | BLAKE3 of these: 16 bytes |
//! their length: u64 | magic: 8 bytes                                     (numbers little-endian)
//! ```

mod chunk;
mod index;

pub use chunk::{Chunk, Filter};
pub use index::{Group, Index};

use std::io;

/// The product, and its folder.
pub const PRODUCT: &str = "spectra-h5";
/// The arrays of a row, in the order of its chunks; each value takes 4 bytes.
pub const ARRAYS: [&str; 3] = ["flux", "ivar", "mask"];
/// Bytes of a value of an array.
pub const VALUE_BYTES: usize = 4;

/// Why a spectra store cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Zero bytes.
    #[error("is empty: whoever wrote it did not finish; make it again")]
    Empty,
    /// It does not end in an index.
    #[error(
        "is no spectra store: it does not end in an index; make it again with `bifrost stage run spectra-h5`, or move it out of the lake"
    )]
    NoIndex,
    /// Something in it is not as it was written.
    #[error("is damaged ({0}); copy it or make it again")]
    Damaged(String),
    /// Made by a later program.
    #[error("has an index of version {0}, which this program does not know: use a newer bifrost")]
    Newer(u32),
    /// The system refused.
    #[error("cannot be read ({0}); check permissions and the disk")]
    Io(#[from] io::Error),
}

impl Error {
    fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}
