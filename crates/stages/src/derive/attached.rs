//! The rows of a file whose arrays are in a spectra store, as if it had them.

use super::Fault;
use super::input::{BATCH_BYTES, Input};
use super::spectra::COLUMNS as ARRAYS;
use crate::fuse::schema::SCHEMA;
use crate::stage::element;
use crate::store::stored::{Row, Stored};
use arrow::array::{
    ArrayRef, ArrowPrimitiveType, ListArray, PrimitiveArray, RecordBatch, RecordBatchReader,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Field, Float32Type, Float64Type, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use bifrost_core::tile::Tile;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use std::sync::Arc;

/// Reads batch by batch.
pub(super) struct Attached {
    rows: ParquetRecordBatchReader,
    stored: Stored,
    tile: Tile,
    wavelength: Vec<f64>,
    /// Rows that were read.
    done: usize,
    schema: SchemaRef,
}

impl Attached {
    /// The columns, of which those that the file lacks are arrays.
    pub(super) fn new(
        stored: Stored,
        tile: &Tile,
        input: &Input,
        columns: &[&str],
    ) -> Result<Self, Fault> {
        let group = stored.group(tile)?;
        let wavelength = stored.wavelength(group)?;
        let scalars: Vec<&str> =
            columns.iter().filter(|name| !ARRAYS.contains(name)).copied().collect();
        let row_bytes = (wavelength.len() as u64 * 20).max(1);
        let rows = input.rows_of(&scalars, (BATCH_BYTES / row_bytes).max(1) as usize)?;
        let array = |name: &&str| SCHEMA.field_with_name(name).ok().cloned();
        let fields: Vec<Field> = RecordBatchReader::schema(&rows)
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .chain(ARRAYS.iter().filter_map(array))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { rows, stored, tile: tile.clone(), wavelength, done: 0, schema })
    }

    fn attach(&mut self, scalars: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let external = |fault: Fault| ArrowError::ExternalError(Box::new(fault));
        let group = self.stored.group(&self.tile).map_err(external)?;
        let count = scalars.num_rows();
        let width = self.wavelength.len();
        let (mut flux, mut ivar, mut mask) = (Vec::new(), Vec::new(), Vec::new());
        for row in self.done..self.done + count {
            if width > 0 {
                let Row { flux: f, ivar: i, mask: m } =
                    self.stored.row(group, row).map_err(external)?;
                flux.extend(f);
                ivar.extend(i);
                mask.extend(m);
            }
        }
        self.done += count;
        let mut columns = scalars.columns().to_vec();
        columns.push(lists::<Float64Type>(self.wavelength.repeat(count), width, count)?);
        columns.push(lists::<Float32Type>(flux, width, count)?);
        columns.push(lists::<Float32Type>(ivar, width, count)?);
        columns.push(lists::<Int32Type>(mask, width, count)?);
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

fn lists<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    width: usize,
    count: usize,
) -> Result<ArrayRef, ArrowError> {
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(width, count));
    let values: PrimitiveArray<T> = PrimitiveArray::new(values.into(), None);
    let list = ListArray::try_new(element(T::DATA_TYPE), offsets, Arc::new(values), None)?;
    Ok(Arc::new(list))
}

impl Iterator for Attached {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let scalars = self.rows.next()?;
        Some(scalars.and_then(|scalars| self.attach(&scalars)))
    }
}

impl RecordBatchReader for Attached {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
