//! A stage makes a tile's file of one product from the archive's files of that tile.
//!
//! It sees local files and writes one local file. Everything else is the runner's: which tiles are
//! ours, their files, the place of the draft, publishing, recording, trying again.

use crate::fuse::Sources;
use bifrost_core::layout::Lake;
use bifrost_core::outcome::Outcome;
use bifrost_core::publish::Claim;
use bifrost_core::tile::{Name, Tile};
use std::path::{Path, PathBuf};

/// A step from the archive's files to a product.
pub trait Stage: Send + Sync {
    /// Its name, as the ledger shows it.
    fn name(&self) -> &'static str;

    /// The product that it makes.
    fn product(&self) -> Name;

    /// Makes a tile's file. Called on a thread of its own; a panic is that tile's failure.
    fn make(&self, work: &Work<'_>) -> Made;
}

/// A tile that is to be made.
#[derive(Debug)]
pub struct Work<'a> {
    /// The tile.
    pub tile: &'a Tile,
    /// Its files.
    pub sources: &'a Sources,
    /// Where the new file is to be written, and what is live now.
    pub claim: &'a Claim,
    /// The lake.
    pub lake: &'a Lake,
    /// A folder for other files, emptied when the run ends.
    pub scratch: &'a Path,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// The draft is written, with so many rows.
    Draft(u64),
    /// The published file is what would be made again.
    Unchanged(PathBuf),
    /// There is nothing to publish.
    Nothing,
    /// It cannot be made.
    Failed {
        /// How bad it is: one of those that quarantine a tile.
        outcome: Outcome,
        /// What is wrong, the worst first.
        reasons: Vec<String>,
        /// What to do.
        advice: Option<String>,
    },
}

/// A stage that makes nothing, for trials of everything around it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Stage for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }

    fn product(&self) -> Name {
        crate::fuse::tile::product()
    }

    fn make(&self, _work: &Work<'_>) -> Made {
        Made::Nothing
    }
}
