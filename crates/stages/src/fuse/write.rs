//! The fused file: row groups of scalars and arrays, then a footer that says where they came from.

use super::coadd::Spectra;
use super::config::{Config, Layout};
use super::encode::{ArrayEncoder, compression};
use super::precision::Precision;
use super::rows::Scalars;
use super::schema::{COLUMNS, Kind, Made, Origin, SCHEMA};
use crate::fits;
use crate::hashed::Hashed;
use arrow::array::{ArrayRef, Int32Array, RecordBatch};
use arrow::error::ArrowError;
use bifrost_core::metadata::{self, Content};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A source cannot be read.
    #[error(transparent)]
    Fits(#[from] fits::Error),
    /// The disk refused.
    #[error("failed to write its rows: {0}")]
    Io(#[from] io::Error),
    /// The Parquet library refused.
    #[error(transparent)]
    Parquet(ParquetError),
    /// The Arrow library refused.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

impl From<ParquetError> for Fault {
    /// What comes from the disk is told apart.
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(io) => Self::Io(*io),
                Err(inner) => Self::Parquet(ParquetError::External(inner)),
            },
            other => Self::Parquet(other),
        }
    }
}

/// A fused file being written.
pub struct Writer {
    file: SerializedFileWriter<Hashed>,
    factory: ArrowRowGroupWriterFactory,
    precision: Precision,
    layout: Layout,
    /// Pixels that were not finite.
    pub repaired: u64,
}

impl Writer {
    /// Begins a file.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn create(path: &Path, config: &Config) -> Result<Self, Fault> {
        let schema = SCHEMA.clone();
        let mut properties = properties(config)?;
        add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
        let parquet = ArrowSchemaConverter::new().convert(&schema)?;
        let file = SerializedFileWriter::new(
            Hashed::create(path)?,
            parquet.root_schema_ptr(),
            Arc::new(properties),
        )?;
        let factory = ArrowRowGroupWriterFactory::new(&file, schema);
        let (precision, layout) = (config.precision, config.layout);
        Ok(Self { file, factory, precision, layout, repaired: 0 })
    }

    /// Writes all rows.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn write(&mut self, spectra: &Spectra, scalars: &Scalars) -> Result<(), Fault> {
        let mut encoder = ArrayEncoder::new(spectra, self.layout, self.precision);
        let mut start = 0;
        for rows in scalars.coadd_rows.chunks(self.layout.group_rows.max(1)) {
            let scalars = scalars.batch.slice(start, rows.len());
            self.write_group(spectra, &mut encoder, rows, &scalars)?;
            start += rows.len();
        }
        Ok(())
    }

    fn write_group(
        &mut self,
        spectra: &Spectra,
        encoder: &mut ArrayEncoder,
        rows: &[u32],
        scalars: &RecordBatch,
    ) -> Result<(), Fault> {
        let descriptors = self.file.schema_descr().columns();
        let arrays = descriptors.len().saturating_sub(4);
        let columns = std::array::from_fn(|i| descriptors[arrays + i].clone());
        let encoded = encoder.encode(spectra, rows, &columns)?;
        self.repaired += encoded.repaired;
        let scalars = with_counts(scalars, &encoded.good)?;
        let writers = self.factory.create_column_writers(self.file.flushed_row_groups().len())?;
        let chunks: Vec<ArrowColumnChunk> = writers
            .into_par_iter()
            .zip(scalars.par_iter())
            .enumerate()
            .map(|(i, (writer, array))| encode_scalar(writer, i, array))
            .collect::<Result<_, Fault>>()?;
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        for chunk in encoded.chunks {
            let (bytes, close) = chunk.into_parts();
            group.append_column(&bytes, close)?;
        }
        group.close()?;
        Ok(())
    }

    /// Writes the footer with `about` in it, and the content's checksum, which it returns.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn finish(mut self, about: Vec<(&str, String)>) -> Result<Content, Fault> {
        self.file.flush()?;
        let content = self.file.inner().content();
        for (key, value) in about {
            self.file.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        let stated = KeyValue::new(metadata::CONTENT.to_owned(), content.to_string());
        self.file.append_key_value_metadata(stated);
        self.file.finish()?;
        self.file.inner_mut().flush()?;
        Ok(content)
    }
}

fn encode_scalar(
    mut writer: ArrowColumnWriter,
    column: usize,
    array: &ArrayRef,
) -> Result<ArrowColumnChunk, Fault> {
    for leaf in compute_leaves(SCHEMA.field(column), array)? {
        writer.write(&leaf)?;
    }
    Ok(writer.close()?)
}

/// All columns but the arrays, in file order, the pixel counts among them.
fn with_counts(scalars: &RecordBatch, good: &[[i32; 3]]) -> Result<Vec<ArrayRef>, Fault> {
    let mut known = scalars.columns().iter();
    COLUMNS
        .iter()
        .filter(|column| !column.kind.is_pixels())
        .map(|column| match column.origin {
            Origin::Made(Made::GoodPix(arm)) => {
                let counts = good.iter().map(|row| row[arm]);
                Ok(Arc::new(Int32Array::from_iter_values(counts)) as ArrayRef)
            }
            _ => known.next().cloned().ok_or_else(|| {
                Fault::Arrow(ArrowError::SchemaError("fewer scalars than columns".into()))
            }),
        })
        .collect()
}

fn properties(config: &Config) -> Result<WriterProperties, Fault> {
    let codec = compression(config.layout.codec)?;
    let mut builder = WriterProperties::builder()
        .set_created_by(format!("bifrost {}", bifrost_core::VERSION))
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(codec)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(None)
        .set_column_index_truncate_length(None)
        .set_max_row_group_row_count(None)
        .set_sorting_columns(Some(vec![
            SortingColumn { column_idx: 0, descending: false, nulls_first: false },
            SortingColumn { column_idx: 1, descending: false, nulls_first: false },
        ]));
    for column in COLUMNS.iter().filter(|c| c.kind.is_pixels() || c.kind == Kind::Reals) {
        let path =
            ColumnPath::from(vec![column.name.clone(), "list".to_owned(), "element".to_owned()]);
        builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    Ok(builder.build())
}
