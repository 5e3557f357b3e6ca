//! A stage makes a tile's file of one product: from the archive's files of that tile
//! ([`FromArchive`]; fusion is the one), or from its file of another product ([`FromProduct`]).
//!
//! It sees local files and makes one local file. Everything else is the runner's: which tiles are
//! to be made, the place of the draft, provenance, publishing, recording, trying again. For stages
//! from products the runner is [`crate::derive`]; it adds the key columns too, so that such a stage
//! says no more than what it reads, which columns it makes, and how.

use crate::fuse::{Config, Sources};
use crate::snr::Snr;
use crate::tokens::Tokens;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use bifrost_core::layout::Lake;
use bifrost_core::metadata::{DESCRIPTION, UCD, UNIT};
use bifrost_core::outcome::Outcome;
use bifrost_core::publish::Claim;
use bifrost_core::tile::{Name, Pixel, Tile};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Stages that make products from products. A new one is added here.
pub const FROM_PRODUCTS: &[&dyn FromProduct] = &[&Snr, &Tokens];

/// Stages that look at the whole survey at once, each with a command of its own.
pub const OVER_THE_SURVEY: [fn() -> About; 2] = [crate::groups::about, crate::web::about];

/// What every stage says of itself.
#[must_use]
pub fn all() -> Vec<About> {
    let fusion = Config::default().about();
    let by_row = FROM_PRODUCTS.iter().map(|stage| stage.about());
    std::iter::once(fusion).chain(by_row).chain(OVER_THE_SURVEY.map(|about| about())).collect()
}

/// What a stage says of itself.
#[derive(Debug, Clone)]
pub struct About {
    /// Its name, as the ledger shows it.
    pub name: &'static str,
    /// Changes whenever the same input would give another file: older files are stale then.
    pub version: u32,
    /// What it is made of.
    pub from: Source,
    /// The product that it makes: a name as [`Name`] wants it.
    pub product: &'static str,
    /// The columns that it makes.
    pub columns: Vec<Field>,
}

/// What a stage reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The archive's files of a tile.
    Archive,
    /// Columns of the tile's file of a product.
    Product(&'static str, &'static [&'static str]),
}

/// A step from a product to a product, row by row: the rows of a tile keep their order and number.
pub trait FromProduct: Send + Sync {
    /// What it is.
    fn about(&self) -> About;

    /// What shapes its columns beside the input and its version, in JSON: a file that was made with
    /// another is made again.
    fn configuration(&self) -> Option<String> {
        None
    }

    /// Its columns, as [`About::columns`] lists them, for some rows of its input, of which it gets
    /// the columns that it reads. A panic is that tile's failure; NaN becomes NULL.
    ///
    /// # Errors
    /// Whatever keeps it from making them.
    fn batch(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError>;
}

/// A column of a stage, which may be NULL.
#[must_use]
pub fn column(
    name: impl Into<String>,
    kind: DataType,
    unit: &str,
    ucd: &str,
    description: impl Into<String>,
) -> Field {
    let mut about = HashMap::from([
        (UCD.to_owned(), ucd.to_owned()),
        (DESCRIPTION.to_owned(), description.into()),
    ]);
    if !unit.is_empty() {
        about.insert(UNIT.to_owned(), unit.to_owned());
    }
    Field::new(name, kind, true).with_metadata(about)
}

/// The values of a list, such as a column of spectra has: never NULL, whatever the list is.
#[must_use]
pub fn element(kind: DataType) -> FieldRef {
    Arc::new(Field::new("element", kind, false))
}

/// A step from the archive's files to a product.
pub trait FromArchive: Send + Sync {
    /// What it is.
    fn about(&self) -> About;

    /// Makes a tile's file. Called on a thread of its own; a panic is that tile's failure.
    fn make(&self, work: &Work<'_>) -> Made;

    /// The tile's published file, where it would be made again just as it is of the same files.
    fn held(&self, _lake: &Lake, _tile: &Tile) -> Option<Held> {
        None
    }

    /// Whether pixels have spectra stores, which are published with their tiles.
    fn has_stores(&self) -> bool {
        false
    }

    /// Makes the draft of a pixel's spectra store, which is claimed, with drafts of its tiles; gives its
    /// rows, or nothing where it stays as it is.
    ///
    /// # Errors
    /// Why the drafts cannot be published: how bad it is, and words.
    fn join(
        &self,
        _lake: &Lake,
        _pixel: Pixel,
        _claim: &Claim,
        _drafts: &[Draft<'_>],
    ) -> Result<Option<u64>, (Outcome, String)> {
        Ok(None)
    }
}

/// A published file, and the verified files that it was made of.
#[derive(Debug)]
pub struct Held {
    /// Where it lies.
    pub path: PathBuf,
    /// SHA-256 (hex) of what it was made of, by kind.
    pub digests: BTreeMap<String, String>,
}

/// A draft of a tile's file: its claim, and its rows.
pub type Draft<'a> = (&'a Tile, &'a Claim, u64);

impl About {
    /// The product that it makes.
    #[must_use]
    pub fn product(&self) -> Name {
        name(self.product)
    }
}

/// A name that is written in the program.
pub(crate) fn name(name: &'static str) -> Name {
    Name::new(name).unwrap_or_else(|e| unreachable!("{e}"))
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
    /// Whether the published file is known to be damaged: it is made again, whatever it says of itself.
    pub is_damaged: bool,
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

impl FromArchive for Nothing {
    fn about(&self) -> About {
        About { name: "nothing", ..Config::default().about() }
    }

    fn make(&self, _work: &Work<'_>) -> Made {
        Made::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn stages_are_named_once_and_say_what_their_columns_are() {
        let stages = all();
        let names: HashSet<_> = stages.iter().map(|stage| stage.name).collect();
        let products: HashSet<_> = stages.iter().map(About::product).collect();
        assert_eq!((names.len(), products.len()), (stages.len(), stages.len()));
        for stage in &stages {
            assert!(stage.version > 0 && !stage.columns.is_empty(), "{}", stage.name);
            for field in &stage.columns {
                let about = field.metadata();
                assert!(about.contains_key(UCD) && about.contains_key(DESCRIPTION), "{field}");
            }
            if let Source::Product(input, columns) = stage.from {
                assert!(!columns.is_empty() && stages.iter().any(|s| s.product == input));
            }
        }
    }
}
