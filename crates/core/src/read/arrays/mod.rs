//! Columns of arrays, decoded here.
//!
//! The parquet crate's reader of lists works out levels, validity and offsets value by value. Spectra
//! have thousands of values in a row and few of them, if any, are missing: here rows are found by runs of
//! levels (`levels`), and only the values of rows that are wanted are put together (`values`), out of
//! pages that the offset index locates. Which columns that can be done for, [`Column::of`] says; all others
//! are read by the parquet crate.

mod header;
mod hybrid;
pub(crate) mod keys;
mod levels;
mod scratch;
#[cfg(test)]
mod tests;
mod values;

use super::Error;
use super::file::damaged;
use super::handle::Handle;
use crate::footer::thrift;
use arrow::array::{ArrayData, ArrayRef, GenericListArray, OffsetSizeTrait, make_array};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef};
use header::{Header, Kind};
use levels::Depth;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::{Compression, Encoding, Repetition, Type};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use scratch::{Place, Scratch};
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use values::{Values, Word};

/// Pages beside each other are fetched together up to this size.
const READ_BYTES: u64 = 1 << 20;
/// Levels of a page, at most: what is kept of them must not grow beyond reason.
const LEVELS_MAX: usize = 1 << 27;

/// A page may be so large whatever the footer states of its column: some state too little.
const PAGE_BYTES: usize = 64 << 20;
/// Values for which room is made before they are there, by the length of the rows that are.
const VALUES_BEFOREHAND: usize = 1 << 22;

/// What is wrong with a page.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("it cannot be fetched: {0}")]
    Fetch(io::Error),
    #[error("its header makes no sense")]
    Header,
    #[error("its header cannot be decoded: {0}")]
    Thrift(#[from] thrift::Error),
    #[error("it is encoded in another way than the footer states")]
    Encoding,
    #[error("it ends early")]
    End,
    #[error("it cannot be decompressed: {0}")]
    Packed(io::Error),
    #[error("it is not as large as its header states")]
    Size,
    #[error("its checksum is that of other bytes")]
    Checksum,
    #[error("its levels make no sense")]
    Levels,
    #[error("it does not hold the rows that the offset index states")]
    Rows,
    #[error("it refers to values that its dictionary does not have")]
    Dictionary,
    #[error("its arrays are too long for one batch")]
    Long,
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}

/// A column that is decoded here, for some row groups of a file.
#[derive(Debug)]
pub(super) struct Column {
    /// Position in the file's schema.
    pub(super) field: usize,
    leaf: usize,
    name: String,
    list: DataType,
    item: FieldRef,
    is_wide: bool,
    depth: Depth,
    max_levels: usize,
}

impl Column {
    /// A column (by its position in the schema) of a file, if its pages can be decoded here: a list of
    /// numbers, in encodings that are known, its pages located by an index.
    pub(super) fn of(footer: &ArrowReaderMetadata, field: usize, groups: &[usize]) -> Option<Self> {
        let arrow = footer.schema().fields().get(field)?;
        let (DataType::List(item) | DataType::LargeList(item)) = arrow.data_type() else {
            return None;
        };
        let parquet = footer.metadata();
        let descriptor = parquet.file_metadata().schema_descr();
        let leaves = 0..descriptor.num_columns();
        let mut leaves = leaves.filter(|leaf| descriptor.get_column_root_idx(*leaf) == field);
        let (leaf, None) = (leaves.next()?, leaves.next()) else { return None };
        let column = descriptor.column(leaf);
        let root = descriptor.get_column_root(leaf);
        let is_wide = match (item.data_type(), column.physical_type()) {
            (DataType::Float32, Type::FLOAT)
            | (DataType::Int32 | DataType::UInt32, Type::INT32) => false,
            (DataType::Float64, Type::DOUBLE)
            | (DataType::Int64 | DataType::UInt64, Type::INT64) => true,
            _ => return None,
        };
        let has_null = match root.get_basic_info().repetition() {
            Repetition::REPEATED => return None,
            other => other == Repetition::OPTIONAL,
        };
        let has_null_value =
            column.self_type().get_basic_info().repetition() == Repetition::OPTIONAL;
        let depth = Depth { has_null, has_null_value };
        let is_simple = root.is_group()
            && (item.is_nullable() || !has_null_value)
            && column.max_rep_level() == 1
            && i64::from(column.max_def_level()) == i64::from(depth.full());
        let can_be_read = |group: &usize| is_known(parquet, *group, leaf);
        if !is_simple || groups.is_empty() || !groups.iter().all(can_be_read) {
            return None;
        }
        let chunks = groups.iter().filter_map(|group| parquet.row_groups().get(*group));
        let levels = chunks.map(|group| group.column(leaf).num_values()).max().unwrap_or_default();
        Some(Self {
            field,
            leaf,
            name: arrow.name().clone(),
            list: arrow.data_type().clone(),
            item: item.clone(),
            is_wide,
            depth,
            max_levels: usize::try_from(levels).unwrap_or_default().min(LEVELS_MAX),
        })
    }
}

/// Whether a column chunk is written in ways that are known, and where.
fn is_known(parquet: &ParquetMetaData, group: usize, leaf: usize) -> bool {
    let Some(chunk) = parquet.row_groups().get(group).and_then(|g| g.columns().get(leaf)) else {
        return false;
    };
    let codec = matches!(
        chunk.compression(),
        Compression::ZSTD(_) | Compression::SNAPPY | Compression::UNCOMPRESSED
    );
    let encodings = chunk.encodings().all(|encoding| {
        matches!(
            encoding,
            Encoding::PLAIN
                | Encoding::RLE
                | Encoding::PLAIN_DICTIONARY
                | Encoding::RLE_DICTIONARY
                | Encoding::BYTE_STREAM_SPLIT
        )
    });
    let pages = pages(parquet, group, leaf);
    let is_whole = pages.first().is_some_and(|page| page.first_row_index == 0);
    codec && encodings && is_whole
}

fn pages(parquet: &ParquetMetaData, group: usize, leaf: usize) -> &[PageLocation] {
    let index = parquet.offset_index().and_then(|index| index.get(group)?.get(leaf));
    index.map_or(&[], |index| index.page_locations().as_slice())
}

/// A page that holds wanted rows.
#[derive(Debug, Clone)]
struct Page {
    group: usize,
    number: usize,
    /// Where it lies in the file, header included.
    bytes: Range<u64>,
    rows: usize,
    /// Rows of it that are wanted, ascending; never none of them.
    wanted: VecDeque<Range<usize>>,
}

/// The wanted rows of a column, batch by batch.
pub(super) struct Arrays {
    column: Column,
    footer: ArrowReaderMetadata,
    handle: Handle,
    path: PathBuf,
    pages: VecDeque<Page>,
    /// The page whose rows come next, and how its values are written, once it is unpacked.
    open: Option<(Page, Written)>,
    scratch: Option<Scratch>,
    /// Where in the file the fetched bytes begin.
    fetched: Range<u64>,
    dictionary: Dictionary,
}

/// Where in an unpacked page its values are.
#[derive(Debug)]
struct Written {
    from: usize,
    encoding: header::Encoding,
}

/// The dictionary of a row group.
#[derive(Default)]
struct Dictionary {
    group: Option<usize>,
    narrow: Vec<u32>,
    wide: Vec<u64>,
}

impl Arrays {
    /// Of row groups as if they were one, certain rows (ascending); `None` where the file's index is
    /// not one of this file.
    pub(super) fn new(
        column: Column,
        (footer, handle, path): (&ArrowReaderMetadata, &Handle, &Path),
        groups: &[usize],
        wanted: &[Range<usize>],
        file_bytes: u64,
    ) -> Option<Self> {
        let pages = located(footer.metadata(), column.leaf, groups, wanted)?;
        let is_inside = |page: &Page| page.bytes.end <= file_bytes;
        pages.iter().all(is_inside).then(|| Self {
            column,
            footer: footer.clone(),
            handle: handle.clone(),
            path: path.to_owned(),
            pages,
            open: None,
            scratch: None,
            fetched: 0..0,
            dictionary: Dictionary::default(),
        })
    }

    pub(super) fn field(&self) -> usize {
        self.column.field
    }

    /// The next rows, exactly so many.
    pub(super) fn take(&mut self, rows: usize) -> Result<ArrayRef, Error> {
        let mut scratch = self.scratch.take().unwrap_or_else(Scratch::take);
        let taken = match (self.column.is_wide, &self.column.list) {
            (false, DataType::List(_)) => self.list::<u32, i32>(rows, &mut scratch),
            (false, _) => self.list::<u32, i64>(rows, &mut scratch),
            (true, DataType::List(_)) => self.list::<u64, i32>(rows, &mut scratch),
            (true, _) => self.list::<u64, i64>(rows, &mut scratch),
        };
        self.scratch = Some(scratch);
        taken.map_err(|fault| self.told(&fault))
    }

    fn told(&self, fault: &Fault) -> Error {
        let name = &self.column.name;
        let page = self.open.as_ref().map(|(page, _)| page).or(self.pages.front());
        damaged(&self.path)(match page {
            Some(Page { group, number, .. }) => {
                format!("column '{name}', page {number} of row group {group}: {fault}")
            }
            None => format!("column '{name}', after its last page: {fault}"),
        })
    }

    fn list<W: Word + Kept, O: OffsetSizeTrait>(
        &mut self,
        rows: usize,
        scratch: &mut Scratch,
    ) -> Result<ArrayRef, Fault> {
        let mut values: Vec<W> = Vec::new();
        let mut ends: Vec<O> = Vec::with_capacity(rows + 1);
        ends.push(O::zero());
        let (mut nulls, mut gone) = (Vec::new(), Vec::new());
        while ends.len() <= rows {
            if self.open.is_none() {
                self.next_page(scratch)?;
            }
            let Some((page, written)) = &mut self.open else { return Err(Fault::Rows) };
            let Some(range) = page.wanted.front_mut() else {
                self.open = None;
                continue;
            };
            let here = range.start..range.end.min(range.start + rows + 1 - ends.len());
            range.start = here.end;
            if Range::is_empty(range) {
                page.wanted.pop_front();
            }
            let found = &scratch.rows;
            let start = found.start(here.start);
            let before = values.len();
            for row in here.clone() {
                if found.is_null(row) {
                    nulls.push(ends.len() - 1);
                }
                let end = before + found.start(row + 1) - start;
                ends.push(O::from_usize(end).ok_or(Fault::Long)?);
            }
            let lies = Values {
                bytes: scratch.plain.get(written.from..).ok_or(Fault::End)?,
                count: found.values() - found.gone_before(found.values()),
                encoding: written.encoding,
            };
            let length = found.start(here.end) - start;
            if before == 0 {
                let all = (length / here.len().max(1)).saturating_mul(rows);
                values.reserve(all.clamp(length, length.max(VALUES_BEFOREHAND)));
            }
            let dictionary = W::of(&self.dictionary);
            let written = start - found.gone_before(start);
            let missing = found.gone(start..start + length);
            lies.append(written..written + length - missing.len(), dictionary, &mut values)?;
            let missing = missing.iter().map(|value| before + *value as usize - start);
            gone.extend(missing.clone());
            spread(&mut values, missing);
        }
        let count = values.len();
        let data = ArrayData::builder(self.column.item.data_type().clone()).len(count);
        let data =
            data.add_buffer(Buffer::from_vec(values)).nulls(all_but(&gone, count)).build()?;
        let nulls = all_but(&nulls, rows);
        let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
        let item = self.column.item.clone();
        let list = GenericListArray::<O>::try_new(item, ends, make_array(data), nulls)?;
        Ok(Arc::new(list))
    }

    /// Opens the next page.
    fn next_page(&mut self, scratch: &mut Scratch) -> Result<(), Fault> {
        let Some(page) = self.pages.front() else { return Err(Fault::Rows) };
        let (group, bytes, rows) = (page.group, page.bytes.clone(), page.rows);
        if self.dictionary.group != Some(group) {
            self.read_dictionary(group, scratch)?;
        }
        self.fetch(&bytes, scratch)?;
        let from = usize::try_from(bytes.start - self.fetched.start).map_err(|_| Fault::End)?;
        let to = usize::try_from(bytes.end - self.fetched.start).map_err(|_| Fault::End)?;
        let written = self.unpack(from..to, rows, group, scratch)?;
        if let Some(page) = self.pages.pop_front() {
            self.open = Some((page, written));
        }
        Ok(())
    }

    /// Makes sure that a page's bytes are there, and with them those of the pages that follow it.
    fn fetch(&mut self, bytes: &Range<u64>, scratch: &mut Scratch) -> Result<(), Fault> {
        if self.fetched.start <= bytes.start && bytes.end <= self.fetched.end {
            return Ok(());
        }
        let mut all = bytes.clone();
        for next in self.pages.iter().skip(1) {
            if next.bytes.start != all.end || next.bytes.end - all.start > READ_BYTES {
                break;
            }
            all.end = next.bytes.end;
        }
        self.fetched = 0..0;
        self.handle.read(all.clone(), &mut scratch.packed).map_err(Fault::Fetch)?;
        self.fetched = all;
        Ok(())
    }

    /// How pages of a row group are compressed, and how large one may be.
    fn codec(&self, group: usize) -> (Compression, usize) {
        let chunk = self.footer.metadata().row_groups().get(group);
        chunk.map_or((Compression::UNCOMPRESSED, 0), |group| {
            let chunk = group.column(self.column.leaf);
            let stated = usize::try_from(chunk.uncompressed_size()).unwrap_or_default();
            (chunk.compression(), stated.max(PAGE_BYTES))
        })
    }

    /// Unpacks a data page and finds its rows.
    fn unpack(
        &self,
        bytes: Range<usize>,
        rows: usize,
        group: usize,
        scratch: &mut Scratch,
    ) -> Result<Written, Fault> {
        let header = Header::read(scratch.packed.get(bytes.clone()).ok_or(Fault::End)?)?;
        let body = bytes.start + header.length..bytes.start + header.length + header.packed_bytes;
        if body.end > bytes.end {
            return Err(Fault::End);
        }
        if header.values > self.column.max_levels {
            return Err(Fault::Header);
        }
        if !header.agrees(scratch.packed.get(body.clone()).ok_or(Fault::End)?) {
            return Err(Fault::Checksum);
        }
        let levels = scratch.open(&header, body, self.codec(group), (true, true))?;
        let Scratch { packed, plain, rows: found, .. } = scratch;
        let bytes = |at: &Place| at.of(packed, plain);
        let both = (bytes(&levels.repetition)?, bytes(&levels.definition)?);
        found.find(both, header.values, rows, self.column.depth)?;
        Ok(Written { from: levels.values_from, encoding: header.encoding })
    }

    /// Reads the dictionary of a row group, if there is one: what lies before the first data page.
    fn read_dictionary(&mut self, group: usize, scratch: &mut Scratch) -> Result<(), Fault> {
        self.dictionary = Dictionary { group: Some(group), ..Dictionary::default() };
        let parquet = self.footer.metadata();
        let Some(chunk) = parquet.row_groups().get(group) else { return Ok(()) };
        let start = chunk.column(self.column.leaf).dictionary_page_offset();
        let first = pages(parquet, group, self.column.leaf).first().map(|page| page.offset);
        let bytes = start.zip(first).and_then(|(start, first)| {
            Some(u64::try_from(start).ok()?..u64::try_from(first).ok()?)
        });
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        self.fetched = 0..0;
        self.handle.read(bytes, &mut scratch.packed).map_err(Fault::Fetch)?;
        let header = Header::read(&scratch.packed)?;
        let body = header.length..header.length + header.packed_bytes;
        if header.kind != Kind::Dictionary || header.encoding != header::Encoding::Plain {
            return Err(Fault::Encoding);
        }
        if !header.agrees(scratch.packed.get(body.clone()).ok_or(Fault::End)?) {
            return Err(Fault::Checksum);
        }
        scratch.unpack(body, header.plain_bytes, self.codec(group))?;
        let bytes = scratch.plain.get(..header.values * if self.column.is_wide { 8 } else { 4 });
        let bytes = bytes.ok_or(Fault::End)?;
        match self.column.is_wide {
            true => u64::plain(bytes, &mut self.dictionary.wide),
            false => u32::plain(bytes, &mut self.dictionary.narrow),
        }
        Ok(())
    }
}

impl Drop for Arrays {
    fn drop(&mut self) {
        if let Some(scratch) = self.scratch.take() {
            scratch.give_back();
        }
    }
}

/// So many but those; `None` where none is missing.
fn all_but(missing: &[usize], count: usize) -> Option<NullBuffer> {
    let mut valid = (!missing.is_empty()).then(|| vec![true; count])?;
    missing.iter().for_each(|place| valid[*place] = false);
    Some(NullBuffer::from(valid))
}

/// Makes room among the last values for some that are missing, by the places that these then have.
fn spread<W: Word>(
    values: &mut Vec<W>,
    missing: impl DoubleEndedIterator<Item = usize> + ExactSizeIterator,
) {
    let mut from = values.len();
    let mut to = from + missing.len();
    values.resize(to, W::default());
    for place in missing.rev() {
        let after = to - place - 1;
        values.copy_within(from - after..from, place + 1);
        values[place] = W::default();
        from -= after;
        to = place;
    }
}

/// Where dictionaries keep words of a width.
trait Kept: Sized {
    fn of(dictionary: &Dictionary) -> &[Self];
}

impl Kept for u32 {
    fn of(dictionary: &Dictionary) -> &[Self] {
        &dictionary.narrow
    }
}

impl Kept for u64 {
    fn of(dictionary: &Dictionary) -> &[Self] {
        &dictionary.wide
    }
}

/// The pages that hold wanted rows of row groups, which are numbered as if they were one.
fn located(
    parquet: &ParquetMetaData,
    leaf: usize,
    groups: &[usize],
    wanted: &[Range<usize>],
) -> Option<VecDeque<Page>> {
    let mut wanted = wanted.iter().filter(|range| !range.is_empty()).cloned().peekable();
    let (mut found, mut before) = (VecDeque::new(), 0);
    for &group in groups {
        let rows = usize::try_from(parquet.row_groups().get(group)?.num_rows()).ok()?;
        let pages = pages(parquet, group, leaf);
        for (number, page) in pages.iter().enumerate() {
            let first = usize::try_from(page.first_row_index).ok()?;
            let end = match pages.get(number + 1) {
                Some(next) => usize::try_from(next.first_row_index).ok()?,
                None => rows,
            };
            if first > end || end > rows {
                return None;
            }
            let span = before + first..before + end;
            let mut here = VecDeque::new();
            while let Some(range) = wanted.peek_mut().filter(|range| range.start < span.end) {
                let part = range.start..range.end.min(span.end);
                here.push_back(part.start - span.start..part.end - span.start);
                range.start = part.end;
                if Range::is_empty(range) {
                    wanted.next();
                }
            }
            if !here.is_empty() {
                let start = u64::try_from(page.offset).ok()?;
                let length = u64::try_from(page.compressed_page_size).ok()?;
                let bytes = start..start.checked_add(length)?;
                found.push_back(Page { group, number, bytes, rows: span.len(), wanted: here });
            }
        }
        before += rows;
    }
    Some(found)
}
