//! One row's spectrum from a Parquet file: only the pages that hold it are read and decoded.

use super::{Error, Pixels, Source};
use crate::guard::guard;
use crate::predicate::column;
use crate::read::{self, Opened, damaged, gave_up, whole};
use arrow::array::{Array, ArrowPrimitiveType, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int32Type, Int64Type};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::iter;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The columns that are read.
const COLUMNS: [&str; 5] = ["target_id", "wavelength", "flux", "ivar", "mask_array"];

/// An open file, and what its footer says.
#[derive(Debug)]
pub(super) struct Table {
    from: Place,
    /// Where [`COLUMNS`] stand in its schema.
    columns: [usize; COLUMNS.len()],
}

#[derive(Debug)]
enum Place {
    Here(Shared, ArrowReaderMetadata),
    There(Opened),
}

impl Place {
    fn metadata(&self) -> &ArrowReaderMetadata {
        match self {
            Self::Here(_, metadata) => metadata,
            Self::There(opened) => &opened.metadata,
        }
    }
}

impl Table {
    /// Decodes the footer of an open file.
    pub(super) fn open(file: File, size_bytes: u64, path: &Path) -> Result<Self, Error> {
        let metadata = guard(|| whole(&file))
            .map_err(|panicked| gave_up(path, &panicked))?
            .map_err(damaged(path))?;
        Self::of(Place::Here(Shared { file: Arc::new(file), size_bytes }, metadata), path)
    }

    /// Decodes the footer of a file on a server.
    pub(super) fn open_remote(source: &read::Source, path: &Path) -> Result<Self, Error> {
        Self::of(Place::There(read::open(source, None)?), path)
    }

    fn of(from: Place, path: &Path) -> Result<Self, Error> {
        let metadata = from.metadata();
        let mut columns = [0; COLUMNS.len()];
        for (place, name) in columns.iter_mut().zip(COLUMNS) {
            let names = metadata.schema().fields().iter().map(|field| field.name().as_str());
            *place = column::find(names, name)
                .ok_or_else(|| Error::NoColumn { path: path.to_owned(), column: name })?;
        }
        Ok(Self { from, columns })
    }

    /// The spectrum in a row.
    pub(super) fn pixels(&self, source: &Source) -> Result<Pixels, Error> {
        let path = &source.path;
        let changed = || read::Error::Changed(path.clone());
        let batch = guard(|| self.row(source.row, path))
            .map_err(|panicked| gave_up(path, &panicked))??
            .ok_or_else(changed)?;
        let ids = self.column(&batch, 0, &DataType::Int64, path)?;
        if ids.as_primitive::<Int64Type>().iter().next().flatten() != Some(source.target_id) {
            return Err(changed().into());
        }
        let pixels = Pixels {
            wavelength: self.list::<Float64Type>(&batch, 1, path)?.into(),
            flux: self.list::<Float32Type>(&batch, 2, path)?,
            ivar: self.list::<Float32Type>(&batch, 3, path)?,
            mask: self.list::<Int32Type>(&batch, 4, path)?,
        };
        let count = pixels.wavelength.len();
        if [pixels.flux.len(), pixels.ivar.len(), pixels.mask.len()] == [count; 3] {
            Ok(pixels)
        } else {
            Err(damaged(path)("the arrays of a row differ in length").into())
        }
    }

    /// A row by its number; none where the file has fewer.
    fn row(&self, row: u64, path: &Path) -> Result<Option<RecordBatch>, read::Error> {
        let parquet = self.from.metadata().metadata();
        let mut left = usize::try_from(row).unwrap_or(usize::MAX);
        for (group, about) in parquet.row_groups().iter().enumerate() {
            let rows = usize::try_from(about.num_rows()).unwrap_or_default();
            if left >= rows {
                left -= rows;
                continue;
            }
            let one = RowSelection::from_consecutive_ranges(iter::once(left..left + 1), rows);
            return match &self.from {
                Place::Here(file, metadata) => {
                    let schema = parquet.file_metadata().schema_descr();
                    let mask = ProjectionMask::roots(schema, self.columns);
                    let (file, metadata) = (file.clone(), metadata.clone());
                    ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
                        .with_row_groups(vec![group])
                        .with_projection(mask)
                        .with_row_selection(one)
                        .with_batch_size(1)
                        .build()
                        .map_err(damaged(path))?
                        .next()
                        .transpose()
                        .map_err(damaged(path))
                }
                Place::There(opened) => {
                    let mut reader =
                        opened.reader(vec![group], &self.columns, 1, Some(one), path)?;
                    reader.next().transpose()
                }
            };
        }
        Ok(None)
    }

    /// A column by its place in [`COLUMNS`], as a type.
    fn column(
        &self,
        batch: &RecordBatch,
        place: usize,
        wanted: &DataType,
        path: &Path,
    ) -> Result<Arc<dyn Array>, Error> {
        let name = COLUMNS[place];
        let schema = batch.schema();
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let found = column::find(names, name).map(|at| batch.column(at));
        let found = found.ok_or_else(|| Error::NoColumn { path: path.to_owned(), column: name })?;
        if found.data_type() == wanted {
            Ok(found.clone())
        } else {
            Ok(cast(found, wanted).map_err(damaged(path))?)
        }
    }

    /// The one list in a column.
    fn list<T: ArrowPrimitiveType>(
        &self,
        batch: &RecordBatch,
        place: usize,
        path: &Path,
    ) -> Result<Vec<T::Native>, Error> {
        let item = Field::new("item", T::DATA_TYPE, true);
        let lists = self.column(batch, place, &DataType::List(Arc::new(item)), path)?;
        let lists = lists.as_list::<i32>();
        if lists.is_empty() || lists.is_null(0) {
            return Err(Error::NoSpectrum { path: path.to_owned(), column: COLUMNS[place] });
        }
        let values = lists.value(0);
        let values = values.as_primitive::<T>();
        if values.null_count() > 0 {
            return Err(
                damaged(path)(format!("{} has NULL among its pixels", COLUMNS[place])).into()
            );
        }
        Ok(values.values().to_vec())
    }
}

/// A file that many threads read at once: by places, not by one position that they share.
#[derive(Debug, Clone)]
struct Shared {
    file: Arc<File>,
    size_bytes: u64,
}

impl Length for Shared {
    fn len(&self) -> u64 {
        self.size_bytes
    }
}

impl ChunkReader for Shared {
    type T = BufReader<Onward>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(Onward { file: self.file.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.size_bytes) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} lie beyond its end")));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// A file from a place on.
#[derive(Debug)]
struct Onward {
    file: Arc<File>,
    at: u64,
}

impl Read for Onward {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(bytes, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
