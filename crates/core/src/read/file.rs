//! Reading one file: row group by row group, first the question's columns, then the rest.

use super::arrays::{self, Arrays};
use super::bloom::{self, Sought};
use super::footers::{self, Columns};
use super::handle::Handle;
use super::rows::{self, Test};
use super::schema::Shape;
use super::stored::{PLACES, ROW_BYTES, Stored};
use super::zipped::Zipped;
use super::{Error, Source};
use crate::guard::Panicked;
use crate::predicate::{Predicate, column};
use crate::resolution::tables::one_of;
use crate::sky::Region;
use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::reader::Length;
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows tested at once.
const TEST_ROWS: usize = 8192;
/// Rows of a batch, at most, however few bytes they have.
const BATCH_ROWS: usize = 1 << 16;

/// What is done with every file.
pub(super) struct Plan {
    pub(super) condition: Predicate,
    pub(super) targets: Option<Vec<i64>>,
    /// The condition with these, for files of which the rows are not known.
    with_targets: Option<Predicate>,
    pub(super) regions: Vec<Region>,
    pub(super) shape: Shape,
    /// What is read of files.
    columns: Columns,
    /// What is looked up in Bloom filters.
    sought: Sought,
}

/// A file and its decoded footer.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(super) handle: Handle,
    pub(crate) metadata: ArrowReaderMetadata,
}

/// Opens a file and makes sure that it is the one that was resolved; of its columns all are known, or
/// those that are wanted.
pub(crate) fn open(source: &Source, columns: Option<&Columns>) -> Result<Opened, Error> {
    let handle = Handle::open(source)?;
    let metadata = footers::of(source, &handle, columns)?;
    let groups = metadata.metadata().num_row_groups();
    if source.row_groups.iter().any(|group| *group >= groups) {
        return Err(Error::Changed(source.path.clone()));
    }
    Ok(Opened { handle, metadata })
}

pub(crate) fn damaged<E: Display>(path: &Path) -> impl Fn(E) -> Error {
    move |reason| {
        let (path, reason) = (path.to_owned(), reason.to_string());
        // the crate has no other word for a codec that it was built without
        match reason.contains("Disabled feature") {
            true => Error::Codec { path, reason },
            false => Error::Damaged { path, reason },
        }
    }
}

/// A panic while a file was read. One of the decoder tells of the file, not of this program.
pub(crate) fn gave_up(path: &Path, panicked: &Panicked) -> Error {
    let reason = match panicked.is_of_decoder() {
        true => "its pages are damaged".to_owned(),
        false => panicked.to_string(),
    };
    Error::Damaged { path: path.to_owned(), reason }
}

impl Plan {
    pub(super) fn new(
        condition: Predicate,
        targets: Option<Vec<i64>>,
        regions: Vec<Region>,
        shape: Shape,
    ) -> Self {
        let with_targets = targets.as_deref().map(|ids| condition.clone().and(one_of(ids)));
        let tested = with_targets.as_ref().unwrap_or(&condition).columns();
        let sky = ["ra", "dec"].into_iter().filter(|_| !regions.is_empty());
        let wanted = shape.schema.fields().iter().map(|field| field.name().as_str());
        let places = PLACES.into_iter().filter(|_| shape.has_arrays());
        let few = targets.as_ref().is_some_and(|ids| ids.len() <= bloom::VALUES_MAX);
        let sought = Sought::of(with_targets.as_ref().filter(|_| few).unwrap_or(&condition));
        let names =
            tested.into_iter().chain(sky).chain(wanted).chain(places).map(column::fold).collect();
        Self {
            condition,
            targets,
            with_targets,
            regions,
            shape,
            columns: Columns::new(names),
            sought,
        }
    }

    /// Reads what matches of a file and sends it off in batches; stops early when `send` says that
    /// nobody wants more.
    pub(super) fn read(
        &self,
        source: &Source,
        batch_bytes: usize,
        mut send: impl FnMut(RecordBatch) -> bool,
    ) -> Result<(), Error> {
        let files = Zipped::open(source, Some(&self.columns))?;
        let schema = files.schema();
        let tested = rows::columns_of(self.condition(source), &self.regions, &schema);
        let mut stored = Stored::of(source, &schema, &self.shape);
        let wanted = self.shape.columns_of(&schema, stored.is_some());
        let is_whole = source.rows.is_none() && stored.is_none();
        let mut groups = source.row_groups.clone();
        if source.rows.is_none() {
            groups.retain(|group| files.first().is_none_or(|f| self.sought.may_be_in(f, *group)));
        }
        if is_whole && groups.len() > 1 && files.is_narrow(&groups, &wanted) {
            let columns = (&*tested, &*wanted);
            return self.read_narrow(&files, source, &groups, columns, batch_bytes, send);
        }
        for group in groups {
            let Some(passed) = self.passed(&files, source, group, &tested)? else { continue };
            let mut rows = files.batch_rows(group, &wanted, batch_bytes).min(BATCH_ROWS);
            if stored.is_some() {
                rows = rows.min(batch_bytes / ROW_BYTES).max(1);
            }
            for batch in files.rows(group, &wanted, rows, Some(&passed))? {
                let batch = match &mut stored {
                    Some(stored) => stored.fill(&batch?)?,
                    None => batch?,
                };
                let batch = self.shape.cast(&batch);
                if !send(batch.map_err(damaged(&source.path))?) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The same in one pass over all row groups, where the columns that are wanted are so few and small
    /// that it costs less to read them than to go through the file again.
    fn read_narrow(
        &self,
        files: &Zipped,
        source: &Source,
        groups: &[usize],
        (tested, wanted): (&[usize], &[usize]),
        batch_bytes: usize,
        mut send: impl FnMut(RecordBatch) -> bool,
    ) -> Result<(), Error> {
        let mut columns = [tested, wanted].concat();
        columns.sort_unstable();
        columns.dedup();
        let Some(&first) = groups.first() else { return Ok(()) };
        let rows = files.batch_rows(first, &columns, batch_bytes).min(BATCH_ROWS);
        let rows_of = groups.iter().map(|group| files.span(*group).len());
        let stated = rows_of.fold(0, usize::saturating_add);
        let (mut test, mut found) = (None, 0);
        for batch in files.rows_of(groups, &columns, rows)? {
            let batch = batch?;
            found += batch.num_rows();
            let test = match &test {
                Some(test) => test,
                None => test.insert(self.bound(source, &batch)?),
            };
            let passed = test.passes(&batch);
            if passed.values().count_set_bits() == 0 {
                continue;
            }
            let batch =
                filter_record_batch(&batch, &passed).and_then(|kept| self.shape.cast(&kept));
            if !send(batch.map_err(damaged(&source.path))?) {
                return Ok(());
            }
        }
        match found == stated {
            true => Ok(()),
            false => {
                let reason = format!("it has {found} rows where its footer states {stated}");
                Err(damaged(&source.path)(reason))
            }
        }
    }

    /// The test of rows, bound to the columns of a batch.
    fn bound(&self, source: &Source, batch: &RecordBatch) -> Result<Test<'_>, Error> {
        let wrong = |error| Error::Comparison { path: source.path.clone(), source: error };
        Test::bind(self.condition(source), &self.regions, &batch.schema()).map_err(wrong)
    }

    /// What rows of a file are tested by.
    fn condition(&self, source: &Source) -> &Predicate {
        match (&source.rows, &self.with_targets) {
            (None, Some(with_targets)) => with_targets,
            _ => &self.condition,
        }
    }

    /// Rows of a row group that match; `None` if there are none.
    fn passed(
        &self,
        files: &Zipped,
        source: &Source,
        group: usize,
        columns: &[usize],
    ) -> Result<Option<RowSelection>, Error> {
        let located = source.rows.as_deref().map(|rows| located(files.span(group), rows));
        if located.as_ref().is_some_and(|rows| !rows.selects_any()) {
            return Ok(None);
        }
        let (mut test, mut passed) = (None, Vec::<BooleanArray>::new());
        for batch in files.rows(group, columns, TEST_ROWS, located.as_ref())? {
            let batch = batch?;
            let test = match &test {
                Some(test) => test,
                None => test.insert(self.bound(source, &batch)?),
            };
            passed.push(test.passes(&batch));
        }
        let any = passed.iter().any(|rows| rows.values().count_set_bits() > 0);
        let passed = any.then(|| RowSelection::from_filters(&passed));
        Ok(passed.map(|passed| match located {
            Some(located) => located.and_then(&passed),
            None => passed,
        }))
    }
}

/// Those of a file's rows that lie in a row group.
fn located(group: Range<usize>, rows: &[i32]) -> RowSelection {
    let place =
        |edge: usize| rows.partition_point(|row| usize::try_from(*row).is_ok_and(|row| row < edge));
    let here = rows.get(place(group.start)..place(group.end)).unwrap_or_default();
    let here = here.iter().filter_map(|row| usize::try_from(*row).ok()?.checked_sub(group.start));
    RowSelection::from_consecutive_ranges(here.map(|row| row..row + 1), group.len())
}

impl Opened {
    /// Bytes of a decoded row, judged by what the footer says of the columns' sizes.
    pub(super) fn row_bytes(&self, group: usize, columns: &[usize]) -> u64 {
        let parquet = self.metadata.metadata();
        let mask = ProjectionMask::roots(parquet.file_metadata().schema_descr(), columns.to_vec());
        // a file beside another may have fewer
        let groups = parquet.row_groups();
        let Some(group) = groups.get(group).or(groups.last()) else { return 0 };
        let leaves = group.columns().iter().enumerate();
        let leaves = leaves.filter(|(leaf, _)| mask.leaf_included(*leaf)).map(|(_, column)| column);
        // encodings make small what is large when decoded: numbers of values tell better
        let (bytes, values) = leaves.fold((0i64, 0i64), |(bytes, values), column| {
            let decoded = column.num_values().max(0).saturating_mul(8);
            let bytes = bytes.saturating_add(column.uncompressed_size().max(0));
            (bytes, values.saturating_add(decoded))
        });
        let rows = u64::try_from(group.num_rows()).unwrap_or_default().max(1);
        u64::try_from(bytes.max(values)).unwrap_or(u64::MAX) / rows
    }

    /// Rows of a row group, by their numbers in the file.
    pub(crate) fn span(&self, group: usize) -> Range<usize> {
        let groups = self.metadata.metadata().row_groups().iter();
        let mut rows = groups.map(|group| usize::try_from(group.num_rows()).unwrap_or_default());
        let start = rows.by_ref().take(group).sum();
        start..start + rows.next().unwrap_or_default()
    }

    /// Reads certain rows of row groups.
    pub(crate) fn reader(
        &self,
        groups: Vec<usize>,
        columns: &[usize],
        batch_rows: usize,
        selection: Option<RowSelection>,
        path: &Path,
    ) -> Result<Reader, Error> {
        let descriptor = self.metadata.metadata().file_metadata().schema_descr();
        let mask = ProjectionMask::roots(descriptor, columns.to_vec());
        let handle = self.handle.with(path, || self.ranges(&groups, &mask, selection.as_ref()))?;
        let rows = self.wanted(&groups, selection.as_ref());
        let place = (&self.metadata, &handle, path);
        let own = columns.iter().filter_map(|at| arrays::Column::of(&self.metadata, *at, &groups));
        let own = own.filter_map(|column| Arrays::new(column, place, &groups, &rows, handle.len()));
        let arrays: Vec<Arrays> = own.collect();
        let is_own = |at: &usize| arrays.iter().any(|array| array.field() == *at);
        let others: Vec<usize> = columns.iter().filter(|at| !is_own(at)).copied().collect();
        let rest = match others.is_empty() && !arrays.is_empty() {
            true => None,
            false => {
                let mask = ProjectionMask::roots(descriptor, others);
                let metadata = self.metadata.clone();
                let mut builder =
                    ParquetRecordBatchReaderBuilder::new_with_metadata(handle, metadata)
                        .with_row_groups(groups)
                        .with_projection(mask)
                        .with_batch_size(batch_rows);
                if let Some(selection) = selection {
                    builder = builder.with_row_selection(selection);
                }
                Some(builder.build().map_err(damaged(path))?)
            }
        };
        let fields = self.metadata.schema().fields();
        let fields = columns.iter().filter_map(|at| fields.get(*at).cloned());
        Ok(Reader {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            columns: columns.to_vec(),
            rest,
            arrays,
            rows_left: rows.iter().map(Range::len).sum(),
            batch_rows,
            path: path.to_owned(),
        })
    }

    /// Rows that are selected, of row groups that are numbered as if they were one.
    fn wanted(&self, groups: &[usize], selection: Option<&RowSelection>) -> Vec<Range<usize>> {
        let Some(selection) = selection else {
            let rows = groups.iter().map(|group| self.span(*group).len()).sum();
            return std::iter::once(0..rows).collect();
        };
        let (mut wanted, mut at) = (Vec::new(), 0);
        for part in selection.iter() {
            if !part.skip {
                wanted.push(at..at + part.row_count);
            }
            at += part.row_count;
        }
        wanted
    }

    /// Where in the file that lies: pages of rows that are selected, where it is known, else all of a
    /// column.
    fn ranges(
        &self,
        groups: &[usize],
        mask: &ProjectionMask,
        selection: Option<&RowSelection>,
    ) -> Vec<Range<u64>> {
        let parquet = self.metadata.metadata();
        let pages = parquet.offset_index().filter(|_| groups.len() == 1);
        let mut ranges = Vec::new();
        for &group in groups {
            let columns = parquet.row_groups().get(group).into_iter();
            let columns = columns.flat_map(|group| group.columns()).enumerate();
            for (leaf, column) in columns.filter(|(leaf, _)| mask.leaf_included(*leaf)) {
                let (start, length) = column.byte_range();
                let pages = pages.and_then(|pages| pages.get(group)?.get(leaf));
                let pages = pages.map(|pages| pages.page_locations().as_slice());
                match (selection, pages) {
                    (Some(selection), Some(pages @ [first, ..])) => {
                        ranges.extend(selection.scan_ranges(pages));
                        let first = u64::try_from(first.offset).unwrap_or(start);
                        ranges.push(start..first.max(start));
                    }
                    _ => ranges.push(start..start + length),
                }
            }
        }
        ranges
    }
}

/// Rows of a file: arrays as they are decoded here, beside what the parquet crate decodes.
pub(crate) struct Reader {
    schema: SchemaRef,
    /// Positions in the file's schema, ascending.
    columns: Vec<usize>,
    rest: Option<ParquetRecordBatchReader>,
    arrays: Vec<Arrays>,
    rows_left: usize,
    batch_rows: usize,
    path: PathBuf,
}

impl Reader {
    fn batch(&mut self) -> Result<Option<RecordBatch>, Error> {
        let rest = match &mut self.rest {
            Some(rest) => rest.next().transpose().map_err(damaged(&self.path))?,
            None => None,
        };
        if self.arrays.is_empty() {
            return Ok(rest);
        }
        let rows = match (&self.rest, &rest) {
            (Some(_), Some(rest)) => rest.num_rows(),
            (Some(_), None) => 0,
            (None, _) => self.batch_rows.min(self.rows_left),
        };
        if rows > self.rows_left || rows == 0 && self.rows_left > 0 {
            return Err(damaged(&self.path)("it has other rows than its footer states"));
        }
        if rows == 0 {
            return Ok(None);
        }
        self.rows_left -= rows;
        let mut others = rest.iter().flat_map(|batch| batch.columns()).cloned();
        let mut columns = Vec::new();
        for at in &self.columns {
            match self.arrays.iter_mut().find(|array| array.field() == *at) {
                Some(array) => columns.push(array.take(rows)?),
                None => columns.extend(others.next()),
            }
        }
        let batch = RecordBatch::try_new(self.schema.clone(), columns);
        batch.map(Some).map_err(damaged(&self.path))
    }
}

impl Iterator for Reader {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}
