//! Files that zip: rows of several files as if they were of one.
//!
//! Row n of each file beside another is row n of that one, wherever its row groups begin. A column
//! that several have is taken from the first.

use super::Error;
use super::Source;
use super::file::{Opened, Reader, damaged, open};
use super::footers::Columns;
use crate::predicate::column;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Decoded bytes of a row that are read rather than gone back for.
const NARROW_BYTES: u64 = 256;

/// Files of one tile.
pub(super) struct Zipped(Vec<One>);

struct One {
    opened: Opened,
    path: PathBuf,
    /// Columns that no file before it has, as positions in its schema.
    columns: Vec<usize>,
}

impl Zipped {
    /// Opens a file and those beside it, for all their columns or those that are wanted.
    pub(super) fn open(source: &Source, columns: Option<&Columns>) -> Result<Self, Error> {
        let mut files: Vec<One> = Vec::new();
        for source in std::iter::once(source).chain(&source.aligned) {
            let opened = open(source, columns)?;
            let is_new = |name: &str| !files.iter().any(|file| file.has(name));
            let fields = opened.metadata.schema().fields().iter().enumerate();
            let own = fields.filter(|(_, field)| is_new(field.name())).map(|(at, _)| at);
            let columns = own.collect();
            files.push(One { opened, path: source.path.clone(), columns });
        }
        Ok(Self(files))
    }

    /// The file whose row groups are read.
    pub(super) fn first(&self) -> Option<&Opened> {
        self.0.first().map(|file| &file.opened)
    }

    /// Columns of all of them.
    pub(super) fn schema(&self) -> Schema {
        let fields = self.0.iter().flat_map(|file| {
            let fields = file.opened.metadata.schema().fields();
            file.columns.iter().filter_map(|at| fields.get(*at).cloned())
        });
        Schema::new(fields.collect::<Vec<_>>())
    }

    /// Columns of the first.
    pub(super) fn own_schema(&self) -> Schema {
        let fields = self.first().map(|opened| opened.metadata.schema().fields().clone());
        Schema::new(fields.unwrap_or_default())
    }

    /// Rows of a row group of the first file, by their numbers in it.
    pub(super) fn span(&self, group: usize) -> Range<usize> {
        self.0.first().map_or(0..0, |own| own.opened.span(group))
    }

    /// Rows that fill a batch, at least one.
    pub(super) fn batch_rows(&self, group: usize, columns: &[usize], batch_bytes: usize) -> usize {
        let parts = self.parts(columns).into_iter();
        let row_bytes = parts.map(|(file, here)| file.opened.row_bytes(group, &here)).sum::<u64>();
        usize::try_from(batch_bytes as u64 / (row_bytes + 1)).unwrap_or(usize::MAX).max(1)
    }

    /// Whether columns are scalars of one file, and few.
    pub(super) fn is_narrow(&self, groups: &[usize], columns: &[usize]) -> bool {
        let ([file], Some(&group)) = (self.0.as_slice(), groups.first()) else { return false };
        let fields = file.opened.metadata.schema().fields();
        let is_scalar = |at: &usize| fields.get(*at).is_some_and(|f| !f.data_type().is_nested());
        columns.iter().all(is_scalar) && file.opened.row_bytes(group, columns) <= NARROW_BYTES
    }

    /// All rows of row groups of the first file, with certain columns.
    pub(super) fn rows_of(
        &self,
        groups: &[usize],
        columns: &[usize],
        batch_rows: usize,
    ) -> Result<Rows<'_>, Error> {
        let mut rows = Rows { parts: Vec::new() };
        for (file, here) in self.parts(columns).into_iter().take(1) {
            let reader =
                file.opened.reader(groups.to_vec(), &here, batch_rows, None, &file.path)?;
            rows.parts.push(Part { reader, file, head: None });
        }
        Ok(rows)
    }

    /// Which columns come from which file, as positions in its schema.
    fn parts(&self, columns: &[usize]) -> Vec<(&One, Vec<usize>)> {
        let mut start = 0;
        let parts = self.0.iter().map(|file| {
            let end = start + file.columns.len();
            let here = columns.iter().filter(|at| (start..end).contains(*at));
            let here = here.filter_map(|at| file.columns.get(at - start).copied()).collect();
            start = end;
            (file, here)
        });
        parts.collect()
    }

    /// Rows of a row group of the first file, or those of them that are selected, with certain
    /// columns (positions in [`Zipped::schema`], ascending).
    pub(super) fn rows(
        &self,
        group: usize,
        columns: &[usize],
        batch_rows: usize,
        selection: Option<&RowSelection>,
    ) -> Result<Rows<'_>, Error> {
        let mut rows = Rows { parts: Vec::new() };
        let span = self.span(group);
        for (place, (file, here)) in self.parts(columns).into_iter().enumerate() {
            let reader = match place {
                0 => {
                    let selection = selection.cloned();
                    file.opened.reader(vec![group], &here, batch_rows, selection, &file.path)?
                }
                _ if here.is_empty() => continue,
                _ => file.rows(&span, &here, batch_rows, selection)?,
            };
            rows.parts.push(Part { reader, file, head: None });
        }
        Ok(rows)
    }
}

impl One {
    fn has(&self, name: &str) -> bool {
        let fields = self.opened.metadata.schema().fields();
        column::find(fields.iter().map(|field| field.name().as_str()), name).is_some()
    }

    /// Rows by their numbers in the file.
    fn rows(
        &self,
        span: &Range<usize>,
        columns: &[usize],
        batch_rows: usize,
        selection: Option<&RowSelection>,
    ) -> Result<Reader, Error> {
        let count = self.opened.metadata.metadata().num_row_groups();
        let spans = (0..count).map(|group| (group, self.opened.span(group)));
        let met: Vec<(usize, Range<usize>)> =
            spans.filter(|(_, other)| other.start < span.end && span.start < other.end).collect();
        let first = met.first().map_or(span.start, |(_, span)| span.start);
        let last = met.last().map_or(span.end, |(_, span)| span.end);
        let mut selectors = vec![RowSelector::skip(span.start.saturating_sub(first))];
        match selection {
            Some(selection) => selectors.extend(selection.iter().copied()),
            None => selectors.push(RowSelector::select(span.len())),
        }
        let selected: usize = selectors.iter().map(|selector| selector.row_count).sum();
        selectors.push(RowSelector::skip((last - first).saturating_sub(selected)));
        let groups = met.into_iter().map(|(group, _)| group).collect();
        self.opened.reader(groups, columns, batch_rows, Some(selectors.into()), &self.path)
    }
}

/// Rows of several files side by side.
pub(super) struct Rows<'a> {
    parts: Vec<Part<'a>>,
}

struct Part<'a> {
    reader: Reader,
    file: &'a One,
    head: Option<RecordBatch>,
}

impl Part<'_> {
    /// The rows that come next; `None` at the end.
    fn head(&mut self) -> Result<Option<&RecordBatch>, Error> {
        while self.head.as_ref().is_none_or(|head| head.num_rows() == 0) {
            match self.reader.next() {
                Some(batch) => self.head = Some(batch?),
                None => return Ok(None),
            }
        }
        Ok(self.head.as_ref())
    }

    fn take(&mut self, rows: usize) -> Option<RecordBatch> {
        let head = self.head.take()?;
        self.head = Some(head.slice(rows, head.num_rows() - rows));
        Some(head.slice(0, rows))
    }
}

impl Rows<'_> {
    fn batch(&mut self) -> Result<Option<RecordBatch>, Error> {
        let mut rows = usize::MAX;
        let mut ended = None;
        for part in &mut self.parts {
            match part.head()? {
                Some(head) => rows = rows.min(head.num_rows()),
                None => ended = Some(part.file.path.clone()),
            }
        }
        match ended {
            Some(_) if rows == usize::MAX => return Ok(None),
            Some(path) => return Err(Error::Changed(path)),
            None => {}
        }
        let mut merged: Option<RecordBatch> = None;
        for part in &mut self.parts {
            let Some(taken) = part.take(rows) else { continue };
            merged = Some(match merged {
                Some(merged) => beside(&merged, &taken).map_err(damaged(&part.file.path))?,
                None => taken,
            });
        }
        Ok(merged)
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}

/// Columns of two batches of equally many rows.
fn beside(one: &RecordBatch, other: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let fields = [one.schema(), other.schema()];
    let fields = fields.iter().flat_map(|schema| schema.fields().iter().cloned());
    let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = one.columns().iter().chain(other.columns()).cloned().collect();
    let options = RecordBatchOptions::new().with_row_count(Some(one.num_rows()));
    RecordBatch::try_new_with_options(schema, columns, &options)
}
