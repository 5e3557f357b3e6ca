//! The columns of a file that the catalog is made of, and no others, read in batches.

use super::Candidate;
use crate::guard::guard;
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, Float32Array, Float64Array, Int32Array,
    Int64Array, PrimitiveArray, RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::schema::types::SchemaDescriptor;
use std::fs::File;
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

/// Columns that decide which row of an object is the primary one.
pub(super) const RANKING: [&str; 3] = ["target_id", "zwarn", "tsnr2_lrg"];
/// Columns of the catalog that are the same in a whole tile.
const TILE: [&str; 4] = ["release", "survey", "program", "healpix"];
/// Columns of the catalog.
const ROW: [&str; 17] = [
    "target_id",
    "_healpix_29",
    "ra",
    "dec",
    "z",
    "zerr",
    "deltachi2",
    "zwarn",
    "desi_target",
    "bgs_target",
    "mws_target",
    "scnd_target",
    "coadd_fiberstatus",
    "tsnr2_lrg",
    "spectype",
    "subtype",
    "objtype",
];

/// The columns to read of a file in full. What our own files have as a tile needs no reading.
pub(super) fn wanted(candidate: &Candidate) -> Vec<&'static str> {
    let tile = TILE.iter().filter(|_| !candidate.is_ours);
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

/// Reads columns of a file batch by batch and makes something of it. What `take` made of batches
/// before a failure is lost.
pub(super) fn read<T: Default>(
    root: &Path,
    candidate: &Candidate,
    names: &[&str],
    mut take: impl FnMut(&mut T, &Batch, usize),
) -> Result<T, Failure> {
    let unreadable = |e: &dyn std::fmt::Display| {
        Failure::Unreadable(format!("has unreadable rows ({e}); copy or write it again"))
    };
    let file = match File::open(root.join(&candidate.seen.path)) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Failure::Unsettled),
        Err(e) => return Err(unreadable(&e)),
    };
    let settled = file.try_clone().map_err(|e| unreadable(&e))?;
    let taken = guard(|| {
        let mut made = T::default();
        let mut first_row = 0;
        for batch in batches(file, names)? {
            let batch = Batch { batch: batch? };
            take(&mut made, &batch, first_row);
            first_row += batch.num_rows();
        }
        Ok::<T, parquet::errors::ParquetError>(made)
    });
    if !settled.metadata().is_ok_and(|now| candidate.seen.is(&now)) {
        return Err(Failure::Unsettled);
    }
    match taken {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(e)) => Err(unreadable(&e)),
        Err(e) => Err(unreadable(&e)),
    }
}

fn batches(
    file: File,
    names: &[&str],
) -> Result<ParquetRecordBatchReader, parquet::errors::ParquetError> {
    // the Arrow types that a writer noted are not needed, and cost more than they are worth
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
    let mask = mask(builder.parquet_schema(), names);
    builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()
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
