//! The remote archive: what it holds, and how its files come here whole.
//!
//! [`key`] spells where the archive keeps what, and [`repair`] mends lists that spell it wrong.
//! [`archive`] asks one question of a bucket or a web server, [`pace`] decides how many questions
//! may be under way at once, [`caller`] asks again what failed, [`list`] and [`sums`] read what is
//! there, and [`fetch`] brings the files of a tile into a local folder: resumable, verified, or
//! refused with a reason. [`bench`] measures how many transfers at a time serve best.
//!
//! ```text
//! Fetcher::tile(job, folder) -> Ending
//!     sums      the tile's sum file: which files there are, and their sha256
//!     room      is there space for them? else wait, and say so
//!     pace      may another request go out? the archive's answers decide
//!     partial   what an earlier attempt left, and whether it may be continued
//!     file      one file: request, stream, hash, rename
//! ```

pub mod archive;
pub mod bench;
pub mod caller;
pub mod fetch;
pub mod key;
pub mod list;
pub mod pace;
pub mod repair;
pub mod sums;
