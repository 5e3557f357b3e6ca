//! Files that may hold matching rows, and what is known of them without further questions.

use super::memory::Memory;
use super::promoted::{self, Asked, Entry};
use super::time::PastRow;
use crate::bounds::{Bounds, Value};
use crate::occupancy::{Ends, Occupied};
use std::sync::Arc;
use tokio_postgres::Row;
use uuid::Uuid;

/// What never changes of a version of a file, but for `has_cells`.
#[derive(Debug)]
pub(crate) struct CandidateRow {
    pub(crate) file_id: i64,
    pub(crate) lake_id: Uuid,
    pub(crate) schema_id: Option<i32>,
    pub(crate) num_rows: Option<i64>,
    pub(crate) num_row_groups: Option<i32>,
    pub(crate) size_bytes: i64,
    pub(crate) mtime_ns: i64,
    /// Whether the catalog holds its rows, and can be relied on.
    pub(crate) has_cells: bool,
    /// The commit that added it or, later, changed what the catalog knows of it.
    pub(super) as_is_since: i64,
    pub(crate) product: Arc<str>,
    pub(crate) path: String,
    /// The commit of the answer that it was looked up for.
    pub(super) learnt_at: i64,
    /// Bounds of the file and of each row group, if there are several; empty where they have to be asked for.
    pub(crate) entries: Box<[Entry]>,
    /// Classes, qualities and redshifts that occur together, where they are known.
    pub(super) occupied: Option<Occupied>,
    /// Redshifts by class and quality, where they are known.
    pub(crate) ends: Option<Ends>,
    /// The key of the tile, where Bifrost wrote the file of one.
    key: Option<Key>,
}

#[derive(Debug)]
struct Key {
    labels: Arc<Labels>,
    healpix: Bounds,
}

/// Release, survey and program as bounds of columns that hold nothing else.
#[derive(Debug)]
pub(crate) struct Labels([Bounds; 3]);

impl Labels {
    pub(super) fn of(texts: &[Option<String>; 3]) -> Self {
        Self(texts.clone().map(|text| constant(text.map(Value::Text))))
    }
}

fn constant(value: Option<Value>) -> Bounds {
    let (min, max) = (value.clone(), value);
    Bounds { min, max, has_nan: Some(false), ..Bounds::default() }
}

/// Columns that are one value in each of our files.
const KEYS: [&str; 4] = ["release", "survey", "program", "healpix"];

/// The place of a column of which bounds are at hand wherever Bifrost wrote the file, by its folded
/// name.
pub(crate) fn place_of(column: &str) -> Option<usize> {
    let promoted = promoted::COLUMNS.into_iter().map(|(name, _)| name);
    promoted.chain(KEYS).position(|name| name == column)
}

/// Bounds of a file or row group, of the columns that were asked for.
pub(crate) struct AtHand<'a> {
    entry: Asked,
    key: &'a Key,
}

impl AtHand<'_> {
    /// Of a column by its place.
    pub(crate) fn get(&self, place: usize) -> &Bounds {
        match place.checked_sub(promoted::COLUMNS.len()) {
            None => self.entry.get(place),
            Some(key) => self.key.labels.0.get(key).unwrap_or(&self.key.healpix),
        }
    }
}

impl CandidateRow {
    pub(super) fn of(
        row: &Row,
        memory: &Memory,
        commit: i64,
    ) -> Result<Self, tokio_postgres::Error> {
        let promoted: Option<&[u8]> = row.try_get("promoted")?;
        let cells: Option<Vec<i16>> = row.try_get("cells")?;
        let ends: Option<Vec<Option<f32>>> = row.try_get("ends")?;
        let healpix: Option<i32> = row.try_get("healpix")?;
        let is_ours: bool = row.try_get("is_ours")?;
        let texts = [row.try_get("release")?, row.try_get("survey")?, row.try_get("program")?];
        let key = || Key {
            labels: memory.labels(texts),
            healpix: constant(healpix.map(|pixel| Value::Int(pixel.into()))),
        };
        Ok(Self {
            file_id: row.try_get("file_id")?,
            lake_id: row.try_get("lake_id")?,
            schema_id: row.try_get("schema_id")?,
            num_rows: row.try_get("num_rows")?,
            num_row_groups: row.try_get("num_row_groups")?,
            size_bytes: row.try_get("size_bytes")?,
            mtime_ns: row.try_get("mtime_ns")?,
            has_cells: row.try_get("has_cells")?,
            as_is_since: row.try_get("as_is_since")?,
            product: memory.word(row.try_get("product")?),
            path: row.try_get("path")?,
            learnt_at: commit,
            entries: promoted.map(promoted::unpack).unwrap_or_default(),
            occupied: cells.as_deref().map(Occupied::of),
            ends: ends.and_then(|ends| Ends::unpacked(&ends)),
            key: is_ours.then(key),
        })
    }

    /// Whether bounds of promoted columns and of the tile's key are at hand.
    pub(crate) fn has_bounds_at_hand(&self) -> bool {
        self.key.is_some() && !self.entries.is_empty()
    }

    /// Bounds of columns, by their [places](place_of), in one of [`CandidateRow::entries`];
    /// `None` where they have to be asked for.
    pub(crate) fn at_hand<'a>(&'a self, entry: &'a Entry, places: &[usize]) -> Option<AtHand<'a>> {
        Some(AtHand { entry: entry.bounds(places), key: self.key.as_ref()? })
    }
}

/// A file that may hold matching rows.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) file: Arc<CandidateRow>,
    /// Rows in which the catalog knows the wanted objects, ascending, where it was asked.
    pub(crate) located: Option<Vec<i32>>,
    /// Of a version that is live no longer.
    pub(crate) past: Option<PastRow>,
}

impl Candidate {
    /// From a row of `time_files.sql`.
    pub(super) fn of(
        row: &Row,
        memory: &Memory,
        commit: i64,
    ) -> Result<Self, tokio_postgres::Error> {
        let mut located: Option<Vec<i32>> = row.try_get("located")?;
        located.iter_mut().for_each(|rows| rows.sort_unstable());
        let file = Arc::new(CandidateRow::of(row, memory, commit)?);
        Ok(Self { file, located, past: PastRow::of(row)? })
    }
}

/// What the registry answers at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// The commit that it is as of.
    pub(crate) commit: i64,
    /// In no order.
    pub(crate) files: Vec<Candidate>,
}
