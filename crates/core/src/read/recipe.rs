//! What is read, cut into portions that any process can read with no registry at hand.
//!
//! A [`Recipe`] says what rows are wanted and what they look like, the same for all of an answer; a
//! [`Portion`] is some row groups of a file. Both can be written down and sent elsewhere: a reader
//! there gives rows of the same schema.

use super::file::Plan;
use super::schema::{Shape, Wanted};
use super::{Error, Options, Reading, Source, source, sources};
use crate::predicate::Predicate;
use crate::resolution::{Query, Resolution, ResolvedFile};
use crate::sky::Region;
use crate::sky::region::Spelled;
use arrow::datatypes::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::sync::Arc;

/// Rows that a thread reads of a file before another may go on with it: no more than it may have ready
/// before they are fetched, or it would wait for the one whose turn it is.
const ROWS_A_JOB: u64 = 1 << 17;

/// What rows are wanted, and their columns. Cheap to clone.
#[derive(Clone)]
pub struct Recipe(Arc<Plan>);

/// Some row groups of a file, to be read by a [`Recipe`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Portion {
    /// Node where the bytes are local.
    pub node: Arc<str>,
    /// Rows in it: no more can match.
    pub rows_at_most: u64,
    /// Rows of each row group, where it is known.
    group_rows: Vec<u64>,
    pub(super) source: Source,
}

/// A recipe as it is written down, without the schema.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    predicate: String,
    regions: Vec<Spelled>,
    targets: Option<Vec<i64>>,
}

impl Recipe {
    /// Of an answer: what to read and in which portions, a file each, in the answer's order. Without
    /// columns these are all of the product, and those that the question names of other products;
    /// [`super::COLUMNS_ALL`] is all of all of them.
    ///
    /// One file of each schema is opened, so that all portions give rows of one schema.
    ///
    /// # Errors
    /// [`Error`] for whatever can be told before a row is read.
    pub fn of(
        resolution: &Resolution,
        query: &Query,
        columns: Option<&[String]>,
    ) -> Result<(Self, Vec<Portion>), Error> {
        let sources = sources(resolution)?;
        let condition = query.condition();
        let wanted = Wanted::of(columns, query, &condition);
        let shape = match sources.as_slice() {
            [] => without_rows(resolution, &wanted)?,
            sources => Shape::of(sources, &wanted)?,
        };
        let targets = resolution.targets.clone();
        let plan = Plan::new(condition, targets, query.regions.clone(), shape);
        let portions = resolution.files.iter().zip(sources);
        let portions = portions.map(|(file, source)| Portion::of(file, source)).collect();
        Ok((Self(Arc::new(plan)), portions))
    }

    /// Columns of every batch.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.0.shape.schema.clone()
    }

    /// The same rows without columns: what is read tells how many there are.
    #[must_use]
    pub fn bare(&self) -> Self {
        let Plan { condition, targets, regions, .. } = &*self.0;
        let shape = Shape { schema: Arc::new(Schema::empty()) };
        let plan = Plan::new(condition.clone(), targets.clone(), regions.clone(), shape);
        Self(Arc::new(plan))
    }

    /// Reads portions, in their order; of the options, `columns` is settled already.
    #[must_use]
    pub fn read(&self, portions: Vec<Portion>, options: &Options) -> Reading {
        // a large file is read by several threads
        let jobs = portions.into_iter().flat_map(|portion| portion.even().split(ROWS_A_JOB));
        let sources = jobs.map(|portion| portion.source).collect();
        Reading::start(self.0.clone(), sources, options)
    }

    /// The text by which, with the schema, [`Recipe::from_text`] makes the same again.
    ///
    /// # Errors
    /// [`Error::Text`] where JSON cannot say it.
    pub fn to_text(&self) -> Result<String, Error> {
        let plan = &self.0;
        let written = Written {
            predicate: plan.condition.to_string(),
            regions: plan.regions.iter().map(Region::spelled).collect(),
            targets: plan.targets.clone(),
        };
        serde_json::to_string(&written).map_err(|error| Error::Text(error.to_string()))
    }

    /// A recipe that was written down.
    ///
    /// # Errors
    /// [`Error::Text`], [`Error::Predicate`] where it was not.
    pub fn from_text(text: &str, schema: SchemaRef) -> Result<Self, Error> {
        let wrong = |error: &dyn Display| Error::Text(error.to_string());
        let written: Written = serde_json::from_str(text).map_err(|e| wrong(&e))?;
        let regions = written.regions.iter().map(Region::try_from).collect::<Result<_, _>>();
        let regions = regions.map_err(|e| wrong(&e))?;
        let condition = Predicate::parse(&written.predicate)?;
        Ok(Self(Arc::new(Plan::new(condition, written.targets, regions, Shape { schema }))))
    }
}

/// What an answer without files looks like: like other files of the product, where one can be read.
fn without_rows(resolution: &Resolution, wanted: &Wanted<'_>) -> Result<Shape, Error> {
    let patterns: Vec<Source> = resolution.patterns.iter().map(source).collect();
    match Shape::of(&patterns, wanted) {
        Err(Error::Predicate(error)) => Err(error.into()),
        Err(_) => Shape::of(&[], wanted),
        shape => shape,
    }
}

impl Portion {
    fn of(file: &ResolvedFile, source: Source) -> Self {
        let group_rows: Vec<u64> = match file.spans.as_slice() {
            [] => Vec::new(),
            spans => spans.iter().map(|span| (span.end - span.start).max(0) as u64).collect(),
        };
        let rows = match group_rows.is_empty() {
            true => u64::try_from(file.num_rows).unwrap_or_default(),
            false => group_rows.iter().sum(),
        };
        let wanted = file.rows.as_ref().map_or(u64::MAX, |rows| rows.len() as u64);
        Self { node: file.node.clone(), rows_at_most: rows.min(wanted), group_rows, source }
    }

    /// Bytes of the whole file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        u64::try_from(self.source.size_bytes).unwrap_or_default()
    }

    /// Path or URI of its file.
    #[must_use]
    pub fn uri(&self) -> String {
        self.source.path.display().to_string()
    }

    /// Takes row groups of which nobody knows the rows for equal.
    fn even(mut self) -> Self {
        let groups = self.source.row_groups.len();
        if self.group_rows.len() != groups && groups > 0 {
            self.group_rows = vec![self.rows_at_most.div_ceil(groups as u64); groups];
        }
        self
    }

    /// The same as portions of whole row groups with at most so many rows, or one row group.
    #[must_use]
    pub fn split(self, rows: u64) -> Vec<Self> {
        if self.group_rows.len() != self.source.row_groups.len() || self.rows_at_most <= rows {
            return vec![self];
        }
        let mut parts: Vec<Self> = Vec::new();
        for (&group, &group_rows) in self.source.row_groups.iter().zip(&self.group_rows) {
            match parts.last_mut() {
                Some(part) if part.rows_at_most + group_rows <= rows => {
                    part.rows_at_most += group_rows;
                    part.group_rows.push(group_rows);
                    part.source.row_groups.push(group);
                }
                _ => parts.push(Self {
                    node: self.node.clone(),
                    rows_at_most: group_rows,
                    group_rows: vec![group_rows],
                    source: Source { row_groups: vec![group], ..self.source.clone() },
                }),
            }
        }
        parts
    }
}
