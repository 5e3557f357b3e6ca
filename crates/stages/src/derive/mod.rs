//! Products from products: the runner of stages that are [`FromProduct`].
//!
//! ```text
//! plan     which tiles there are to make, from the lake's files alone
//! run      tiles side by side; publishes, records, tries again, goes on
//!   make   one tile: is it made already? if not, its draft
//!     input    the file that is read: what it is, its rows batch by batch
//!     attached its arrays, where they are in a spectra store
//!     output   the draft: keys and the stage's columns, footer, checksum
//! spectra  what stages over spectra see of a row
//! ```
//!
//! A tile's file has the rows of its input, in their order, with their keys, so that the files of a
//! tile zip without a join. It says in its footer of which content and row order it was made, and by
//! which version of which stage: from that follows whether it is stale, and nothing else has to be
//! remembered. Memory is bounded by a batch of rows and a row group of what is made, for each tile
//! that is under way, whatever the tile's size.

mod attached;
pub(crate) mod input;
mod make;
mod output;
pub mod plan;
pub mod run;
pub mod spectra;
#[cfg(test)]
mod tests;

pub(crate) use output::Output;
pub use plan::Job;
pub use run::{Ending, Publisher, Renaming, Report, Settings, run};

use arrow::error::ArrowError;
use bifrost_core::outcome::Outcome;
use bifrost_core::publish;
use parquet::errors::ParquetError;
use std::io;

#[cfg(doc)]
use crate::stage::FromProduct;

/// Columns that say which row it is: taken over from the input as far as it has them.
pub const KEYS: [&str; 8] =
    ["_healpix_29", "target_id", "ra", "dec", "survey", "program", "healpix", "release"];

/// Why a tile cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("its input is gone")]
    Gone,
    #[error("{0}")]
    Corrupt(String),
    #[error("its input's content is not what its checksum states")]
    Checksum,
    #[error("{0}")]
    Mismatch(String),
    #[error("the stage failed: {0}")]
    Stage(String),
    #[error("{0}")]
    Disk(String),
}

impl Fault {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Gone => Outcome::MissingSource,
            Self::Corrupt(_) => Outcome::Corrupt,
            Self::Checksum => Outcome::ChecksumMismatch,
            Self::Mismatch(_) => Outcome::Mismatch,
            Self::Stage(_) => Outcome::Internal,
            Self::Disk(_) => Outcome::Disk,
        }
    }

    pub(crate) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Gone | Self::Stage(_) => None,
            Self::Corrupt(_) | Self::Checksum | Self::Mismatch(_) => Some("make its input again"),
            Self::Disk(_) => Some("make room or repair the disk, and run the stage again"),
        }
    }

    /// What could not be read of the input.
    pub(crate) fn reading(error: impl std::fmt::Display) -> Self {
        Self::Corrupt(format!("its input cannot be read: {error}"))
    }

    /// What could not be written of the output.
    fn writing(error: ParquetError) -> Self {
        match error {
            ParquetError::External(inner) if inner.is::<io::Error>() => {
                Self::Disk(inner.to_string())
            }
            other => Self::Stage(other.to_string()),
        }
    }

    fn stage(error: &ArrowError) -> Self {
        Self::Stage(error.to_string())
    }
}

impl From<publish::Error> for Fault {
    fn from(error: publish::Error) -> Self {
        Self::Disk(error.to_string())
    }
}
