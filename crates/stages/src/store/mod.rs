//! The stage `spectra-h5`: the arrays of all tiles of a pixel in one HDF5 file, the spectra store.
//!
//! ```text
//! run      pixels side by side: what is missing or stale is made, and published by rename
//! make     one pixel: is it made already? if not, its draft, tile by tile
//! join     one pixel while its tiles are converted: of their drafts, and of what is there
//! pile     a tile's arrays between the archive and the store
//! stored   rows read back: of tiles whose arrays are nowhere else
//! encode   rows to chunks: shuffled and compressed here, on all cores
//! file     the HDF5 file: the only one of this module that knows libhdf5, one thread at a time
//! ```
//!
//! What a store looks like, and how it is read without libhdf5, stands in [`bifrost_core::store`].
//! A store is made anew as a whole: a pixel is small, and what a file holds of a pixel is one state.
//! It says of which files it was made; from that follows whether it is stale. A tile that cannot be
//! read is left out, with its reason, and the rest of the pixel goes on.

mod encode;
mod file;
mod join;
mod make;
pub(crate) mod pile;
mod run;
pub(crate) mod stored;

pub use encode::{Compression, Layout};
pub(crate) use join::{holds, join};
pub use run::{Budget, Ending, Job, Report, Settings, jobs, run};

use bifrost_core::metadata::MadeBy;

/// The stage.
pub const NAME: &str = bifrost_core::store::PRODUCT;
/// Its version: another one gives other files.
pub const VERSION: u32 = 1;
/// The columns of `spectra` that it reads.
pub const READS: [&str; 5] = ["target_id", "wavelength", "flux", "ivar", "mask_array"];

fn made_by() -> MadeBy {
    MadeBy { name: NAME.to_owned(), version: VERSION }
}
