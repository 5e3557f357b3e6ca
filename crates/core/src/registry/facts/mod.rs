//! What the datasheet tells, gathered from one snapshot of the registry.
//!
//! Everything is counted from tables of a row a file (or a few): no statement here reads the
//! catalog. The result is plain data, so that a datasheet can be rendered, and tested, without a
//! database.

mod columns;
mod gather;

use super::{Error, Registry, doing};
use crate::layout::Lake;
use crate::tile::Pixel;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio_postgres::IsolationLevel;
use uuid::Uuid;

/// At most so many files, and so many tiles, are listed by name; the rest is counted.
pub const LISTED: usize = 500;
/// At most so many commits are listed.
pub const COMMITS: usize = 12;

/// An installation as one lake sees it, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// When the snapshot was taken.
    pub taken_at: DateTime<Utc>,
    /// The lake that is described, and whose datasheet it is.
    pub here: Uuid,
    /// Latest commits, newest first; empty before the first.
    pub commits: Vec<CommitRow>,
    /// Every lake, by node.
    pub lakes: Vec<LakeRow>,
    /// Every (product, lake).
    pub products: Vec<ProductRow>,
    /// Every tile of `spectra` that some lake serves.
    pub tiles: Vec<TileRow>,
    /// Objects by survey, class and quality.
    pub classes: Vec<ClassRow>,
    /// Those with `zwarn = 0` by bin of redshift.
    pub redshifts: Vec<RedshiftRow>,
    /// Objects by survey and target class.
    pub targets: Vec<TargetRow>,
    /// How the files were made, most files first within a product.
    pub makings: Vec<MakingRow>,
    /// Schemas in use, most files first within a product.
    pub schemas: Vec<Schema>,
    /// Files that are unreadable, gone, or one of two of a tile; at most [`LISTED`].
    pub files_wrong: Listed<FileWrongRow>,
    /// Tiles that could not be made; at most [`LISTED`].
    pub tile_outcomes: Listed<TileOutcomeRow>,
}

/// The first of many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed<T> {
    /// Those that are listed.
    pub rows: Vec<T>,
    /// How many there are.
    pub total: u64,
}

/// One sync that changed something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitRow {
    /// Number, over all lakes.
    pub commit_id: i64,
    /// When (UTC).
    pub committed_at: DateTime<Utc>,
    /// Node that synced.
    pub node: String,
    /// Program and version.
    pub program: String,
    /// Files seen for the first time.
    pub files_added: i64,
    /// Files read anew.
    pub files_changed: i64,
    /// Files that vanished.
    pub files_missing: i64,
    /// Files whose place another took.
    pub files_replaced: i64,
    /// Files, of those added and changed, that cannot be read.
    pub files_quarantined: i64,
    /// Rows that became visible.
    pub rows_added: i64,
    /// Rows that ceased to be.
    pub rows_removed: i64,
    /// Bytes that became visible.
    pub bytes_added: i64,
    /// Bytes that ceased to be.
    pub bytes_removed: i64,
}

/// One lake of the installation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LakeRow {
    /// Identity.
    pub lake_id: Uuid,
    /// Machine.
    pub node: String,
    /// Folder on that machine.
    pub root: String,
    /// Its latest commit.
    pub last_commit: Option<i64>,
    /// When its node last synced, changes or not.
    pub last_seen_at: DateTime<Utc>,
    /// How its files are opened from elsewhere.
    pub uri_prefixes: Vec<String>,
}

/// A product in a lake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProductRow {
    /// Name.
    pub product: String,
    /// Where.
    pub lake_id: Uuid,
    /// Files that can be read.
    pub live: i64,
    /// Files that are there and cannot be read.
    pub quarantined: i64,
    /// Files that vanished.
    pub missing: i64,
    /// Rows of the live files.
    pub rows: i64,
    /// Live files without rows.
    pub empty: i64,
    /// Row groups of the live files.
    pub row_groups: i64,
    /// Bytes of the live files.
    pub size_bytes: i64,
    /// Bytes of the largest live file.
    pub largest_bytes: i64,
}

/// A tile that some lake serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TileRow {
    /// Production of the archive.
    pub release: String,
    /// Survey.
    pub survey: String,
    /// Program.
    pub program: String,
    /// Pixel.
    pub pixel: Pixel,
    /// Rows in its file.
    pub rows: i64,
    /// Whether it lies in this lake.
    pub here: bool,
}

/// Survey of a count; `None` for files that are not named as a tile's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Survey {
    /// Production of the archive.
    pub release: Option<String>,
    /// Survey.
    pub survey: Option<String>,
    /// Program.
    pub program: Option<String>,
}

/// Objects of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassRow {
    /// Of which survey.
    pub survey: Survey,
    /// Redrock's class; `None` where the row has none.
    pub spectype: Option<String>,
    /// Whether these are the objects with `zwarn = 0`.
    pub zwarn_zero: bool,
    /// How many.
    pub objects: i64,
    /// Least redshift.
    pub z_min: Option<f64>,
    /// Greatest redshift.
    pub z_max: Option<f64>,
}

/// Objects with `zwarn = 0` of one class in one bin of redshift, of [`crate::redshift`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RedshiftRow {
    /// Of which survey.
    pub survey: Survey,
    /// Redrock's class.
    pub spectype: Option<String>,
    /// Its number: bin b is `0.05 b <= z < 0.05 (b + 1)`.
    pub z_bin: i16,
    /// How many.
    pub objects: i64,
}

/// Objects by what they were targeted as; one may be several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetRow {
    /// Of which survey.
    pub survey: Survey,
    /// All.
    pub rows: i64,
    /// Those with `zwarn = 0`.
    pub zwarn_zero: i64,
    /// Those with a negative TARGETID.
    pub negative_ids: i64,
    /// Those without a finite position.
    pub without_position: i64,
    /// Those on a good fibre.
    pub good_fibers: i64,
    /// Bright galaxy survey.
    pub bgs: Targeted,
    /// Luminous red galaxies.
    pub lrg: Targeted,
    /// Emission line galaxies.
    pub elg: Targeted,
    /// Quasars.
    pub qso: Targeted,
    /// Milky Way survey.
    pub mws: Targeted,
    /// Secondary programs.
    pub scnd: Targeted,
    /// None of these.
    pub other: Targeted,
}

/// Objects of one target class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targeted {
    /// All.
    pub rows: i64,
    /// Those with `zwarn = 0`.
    pub zwarn_zero: i64,
}

/// How live files of a product were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MakingRow {
    /// Which product.
    pub product: String,
    /// Live files made so.
    pub files: i64,
    /// Rows in them.
    pub rows: i64,
    /// What their footers tell: `writer`, `version`, `config`, `configuration`, `headers`; `None`
    /// where they tell nothing.
    pub document: Option<serde_json::Value>,
}

/// A schema in use by a product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// Which product.
    pub product: String,
    /// BLAKE3 (hex) of the column list.
    pub fingerprint: String,
    /// Live files that have it.
    pub files: i64,
    /// Rows in them.
    pub rows: i64,
    /// Columns in file order.
    pub columns: Vec<Column>,
}

/// A column and what is known of its values in all live files of its schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Arrow type.
    pub arrow_type: String,
    /// Unit in VOUnit spelling.
    pub unit: Option<String>,
    /// One sentence.
    pub description: Option<String>,
    /// NULLs; `None` where a file does not say, or the column is nested.
    pub nulls: Option<i64>,
    /// Least and greatest value; `None` where no file says.
    pub range: Option<Range>,
    /// Files with values that do not say their bounds.
    pub files_without_bounds: i64,
    /// Files known to hold NaN in it.
    pub files_with_nan: i64,
}

/// Least and greatest value of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    /// Of integers (and booleans, as 0 and 1).
    Int(i64, i64),
    /// Of floats, NaN aside.
    Float(f64, f64),
    /// Of text, byte order; long ones may be cut short.
    Text(String, String),
}

/// A file with something wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileWrongRow {
    /// Where.
    pub lake_id: Uuid,
    /// Path in its lake.
    pub path: String,
    /// `quarantined`, `missing`, or `live` with a fault.
    pub state: String,
    /// What is wrong; missing files have none.
    pub reason: Option<String>,
    /// When the registry noted it.
    pub since: Option<DateTime<Utc>>,
}

/// A tile that could not be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TileOutcomeRow {
    /// Lake that lacks it.
    pub lake_id: Uuid,
    /// Product that lacks it.
    pub product: String,
    /// RELEASE-SURVEY-PROGRAM-PIXEL, or what is known of it.
    pub tile: String,
    /// One of [`crate::outcome::Outcome`].
    pub outcome: String,
    /// What was found.
    pub reasons: Vec<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// When it was found.
    pub at: DateTime<Utc>,
}

const PURPOSE: &str = "gather the facts of the datasheet";

impl Registry {
    /// Gathers what a lake's datasheet tells, from one snapshot.
    ///
    /// # Errors
    /// Those of reaching the registry and of reading it.
    pub async fn facts(&self, lake: &Lake) -> Result<Facts, Error> {
        let mut client = self.client().await?;
        let snapshot = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err(doing(PURPOSE))?;
        let here = lake.identity().lake_id;
        gather::all(&snapshot, here).await.map_err(doing(PURPOSE))
    }

    /// The latest commit of a lake; `None` before its first.
    ///
    /// # Errors
    /// Those of reaching the registry and of reading it.
    pub async fn last_commit(&self, lake: &Lake) -> Result<Option<i64>, Error> {
        let sql = include_str!("../../../../../sql/facts_last_commit.sql");
        let row = self.client().await?.query_opt(sql, &[&lake.identity().lake_id]).await;
        let number = row.and_then(|row| row.map_or(Ok(None), |row| row.try_get(0)));
        number.map_err(doing("look the lake's latest commit up"))
    }
}
