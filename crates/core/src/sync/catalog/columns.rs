//! The columns of a file that the catalog is made of, and no others, read in batches.

use super::Candidate;
use crate::guard::guard;
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, Float32Array, Float64Array, Int32Array,
    Int64Array, PrimitiveArray, RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type};
use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::SchemaDescriptor;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 16 * 1024;

/// Why a file's rows did not reach the catalog.
#[derive(Debug)]
pub(super) enum Failure {
    /// They cannot be read.
    Unreadable(String),
    /// The file changed while it was read.
    Unsettled,
}

/// Columns of the catalog that are the same in a whole tile.
const TILE: [&str; 4] = ["release", "survey", "program", "healpix"];
/// Columns of the catalog.
const ROW: [&str; 14] = [
    "target_id",
    "_healpix_29",
    "ra",
    "dec",
    "z",
    "zerr",
    "deltachi2",
    "zwarn",
    "desi_target",
    "coadd_fiberstatus",
    "tsnr2_lrg",
    "spectype",
    "subtype",
    "objtype",
];

/// The columns to read of a file in full. What its rows are known to have as a tile needs none.
fn wanted(candidate: &Candidate) -> Vec<&'static str> {
    let tile = TILE.iter().filter(|_| !candidate.is_one_tile);
    ROW.iter().chain(tile).copied().collect()
}

/// Rows of a file, as far as the catalog goes.
pub(super) struct Batch {
    batch: RecordBatch,
}

impl Batch {
    pub(super) fn num_rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// A column, whatever its case; `targetid` is `target_id`. None where there are several.
    fn column(&self, name: &str) -> Option<&ArrayRef> {
        let schema = self.batch.schema_ref();
        let mut named =
            (0..schema.fields().len()).filter(|&i| is_named(schema.field(i).name(), name));
        named.next().filter(|_| named.next().is_none()).map(|index| self.batch.column(index))
    }

    fn numbers<T: ArrowPrimitiveType>(&self, name: &str) -> Option<PrimitiveArray<T>> {
        let column = self.column(name).filter(|c| c.data_type().is_numeric())?;
        cast(column, &T::DATA_TYPE).ok()?.as_primitive_opt::<T>().cloned()
    }

    pub(super) fn int64s(&self, name: &str) -> Option<Int64Array> {
        self.numbers::<Int64Type>(name)
    }

    pub(super) fn int32s(&self, name: &str) -> Option<Int32Array> {
        self.numbers::<Int32Type>(name)
    }

    pub(super) fn float64s(&self, name: &str) -> Option<Float64Array> {
        self.numbers::<Float64Type>(name)
    }

    pub(super) fn float32s(&self, name: &str) -> Option<Float32Array> {
        self.numbers::<Float32Type>(name)
    }

    pub(super) fn texts(&self, name: &str) -> Option<StringArray> {
        let column = self.column(name)?;
        let is_text = matches!(
            column.data_type(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..)
        );
        cast(column, &DataType::Utf8).ok().filter(|_| is_text)?.as_string_opt::<i32>().cloned()
    }
}

/// A value of a column that may be absent.
#[inline]
pub(super) fn value<T: ArrowPrimitiveType>(
    column: Option<&PrimitiveArray<T>>,
    row: usize,
) -> Option<T::Native> {
    column.filter(|c| c.is_valid(row)).map(|c| c.value(row))
}

/// A text of a column that may be absent.
#[inline]
pub(super) fn text(column: Option<&StringArray>, row: usize) -> Option<&str> {
    column.filter(|c| c.is_valid(row)).map(|c| c.value(row))
}

/// Reads the columns of a file that the catalog is made of.
pub(super) fn read(root: &Path, candidate: &Candidate) -> std::result::Result<Vec<Batch>, Failure> {
    let unreadable = |e: &dyn std::fmt::Display| {
        Failure::Unreadable(format!("has unreadable rows ({e}); copy or write it again"))
    };
    let file = match File::open(root.join(&candidate.seen.path)) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Failure::Unsettled),
        Err(e) => return Err(unreadable(&e)),
    };
    let read = guard(|| {
        let batches = batches(&file, &wanted(candidate))?;
        batches.map(|batch| Ok(Batch { batch: batch? })).collect::<Result<Vec<Batch>>>()
    });
    if !file.metadata().is_ok_and(|now| candidate.seen.is(&now)) {
        return Err(Failure::Unsettled);
    }
    match read {
        Ok(Ok(batches)) => Ok(batches),
        Ok(Err(e)) => Err(unreadable(&e)),
        Err(e) => Err(unreadable(&e)),
    }
}

fn batches(file: &File, names: &[&str]) -> Result<ParquetRecordBatchReader> {
    // the Arrow types that a writer noted are not needed, and cost more than they are worth
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::load(file, options)?;
    let mask = mask(metadata.parquet_schema(), names);
    let chunks = Chunks::read(file, metadata.metadata(), &mask)?;
    ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, metadata)
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
}

/// The wanted column chunks of a file, read at once: a page at a time, the system's calls would
/// take as long as the decoding.
struct Chunks {
    size_bytes: u64,
    /// By first byte, apart from each other.
    parts: Vec<(u64, Bytes)>,
}

impl Chunks {
    /// Chunks that are no farther apart are read in one piece.
    const GAP_BYTES: u64 = 16 << 10;

    fn read(file: &File, metadata: &ParquetMetaData, mask: &ProjectionMask) -> Result<Self> {
        let size_bytes = file.metadata()?.len();
        let chunks = metadata.row_groups().iter().flat_map(|group| {
            let chunks = group.columns().iter().enumerate();
            chunks
                .filter(|(leaf, _)| mask.leaf_included(*leaf))
                .map(|(_, chunk)| chunk.byte_range())
        });
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let mut chunks: Vec<(u64, u64)> = chunks.collect();
        chunks.sort_unstable();
        for (start, length) in chunks {
            let end = start.saturating_add(length).min(size_bytes);
            match ranges.last_mut() {
                Some(last) if start <= last.end + Self::GAP_BYTES => last.end = last.end.max(end),
                _ => ranges.push(start.min(end)..end),
            }
        }
        let part = |range: Range<u64>| {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut bytes, range.start)?;
            Ok((range.start, bytes.into()))
        };
        Ok(Self { size_bytes, parts: ranges.into_iter().map(part).collect::<Result<_>>()? })
    }

    /// The bytes from a place to the end of the part that it is in.
    fn from(&self, start: u64) -> Result<Bytes> {
        let index = self.parts.partition_point(|(first, _)| *first <= start);
        let (first, bytes) = index
            .checked_sub(1)
            .map(|index| &self.parts[index])
            .filter(|(first, bytes)| start - first <= bytes.len() as u64)
            .ok_or_else(|| ParquetError::EOF(format!("no column at byte {start}")))?;
        Ok(bytes.slice((start - first) as usize..))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.size_bytes
    }
}

impl ChunkReader for Chunks {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.from(start)?;
        let beyond = || ParquetError::EOF(format!("no {length} bytes at byte {start}"));
        (length <= bytes.len()).then(|| bytes.slice(..length)).ok_or_else(beyond)
    }
}

fn mask(schema: &SchemaDescriptor, names: &[&str]) -> ProjectionMask {
    let is_wanted = |leaf: usize| match schema.column(leaf).path().parts() {
        [name] => names.iter().any(|wanted| is_named(name, wanted)),
        _ => false,
    };
    ProjectionMask::leaves(schema, (0..schema.num_columns()).filter(|&leaf| is_wanted(leaf)))
}

fn is_named(name: &str, wanted: &str) -> bool {
    name.eq_ignore_ascii_case(wanted)
        || wanted == "target_id" && name.eq_ignore_ascii_case("targetid")
}
