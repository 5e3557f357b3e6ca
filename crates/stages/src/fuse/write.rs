//! The fused file: row groups of scalars and arrays, then a footer that says where they came from.

use super::coadd::{Pixels, Spectra};
use super::config::{Config, Layout};
use super::encode::{ArrayEncoder, Chunk, compression};
use super::precision::Precision;
use super::rows::Scalars;
use super::schema::{self, COLUMNS, Kind, Made, Origin};
use crate::fits;
use crate::hashed::Hashed;
use crate::store::pile::{Encoded, Pile};
use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Int64Type, SchemaRef};
use arrow::error::ArrowError;
use bifrost_core::layout::pixel_path;
use bifrost_core::metadata::{self, Content};
use bifrost_core::spectrum::hash;
use bifrost_core::store;
use bifrost_core::tile::Tile;
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
    schema: SchemaRef,
    precision: Precision,
    layout: Layout,
    tile: Tile,
    /// Where arrays go that are not to be in the file.
    pile: Option<Pile>,
    /// Pixels that were not finite.
    pub repaired: u64,
}

/// What is known of a row group once its arrays were read.
struct Read {
    chunks: Vec<Chunk>,
    good: Vec<[i32; 3]>,
    /// Of arrays that are not in the file.
    hashes: Vec<i64>,
}

impl Writer {
    /// Begins a file of a tile; where its arrays are to be in a spectra store alone, they are piled
    /// up beside it.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn create(path: &Path, tile: &Tile, config: &Config) -> Result<Self, Fault> {
        let has_arrays = config.arrays.in_parquet();
        let schema = schema::of(has_arrays).clone();
        let mut properties = properties(config)?;
        add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
        let parquet = ArrowSchemaConverter::new().convert(&schema)?;
        let file = SerializedFileWriter::new(
            Hashed::create(path)?,
            parquet.root_schema_ptr(),
            Arc::new(properties),
        )?;
        let factory = ArrowRowGroupWriterFactory::new(&file, schema.clone());
        let (precision, layout, tile) = (config.precision, config.layout, tile.clone());
        let pile = match has_arrays {
            true => None,
            false => Some(Pile::create(&Pile::beside(path), config.store)?),
        };
        Ok(Self { file, factory, schema, precision, layout, tile, pile, repaired: 0 })
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
            let read = match self.pile.take() {
                Some(pile) => self.pile_up(pile, spectra, rows)?,
                None => self.encode(spectra, &mut encoder, rows)?,
            };
            self.write_group(read, &scalars, start)?;
            start += rows.len();
        }
        if let Some(pile) = self.pile.take() {
            let ids = scalars.batch.column_by_name("target_id");
            let ids = ids.map(|ids| ids.as_primitive::<Int64Type>().values().to_vec());
            let mut wavelength = spectra.wavelength().to_vec();
            self.precision.round_wavelength(&mut wavelength);
            // as a store of no rows is made of a file with arrays
            let wavelength = if start == 0 { Vec::new() } else { wavelength };
            pile.finish(&self.tile, &wavelength, &ids.unwrap_or_default())?;
        }
        Ok(())
    }

    fn encode(
        &mut self,
        spectra: &Spectra,
        encoder: &mut ArrayEncoder,
        rows: &[u32],
    ) -> Result<Read, Fault> {
        let descriptors = self.file.schema_descr().columns();
        let arrays = descriptors.len().saturating_sub(4);
        let columns = std::array::from_fn(|i| descriptors[arrays + i].clone());
        let encoded = encoder.encode(spectra, rows, &columns)?;
        self.repaired += encoded.repaired;
        Ok(Read { chunks: encoded.chunks, good: encoded.good, hashes: Vec::new() })
    }

    /// Reads, rounds and encodes rows for a spectra store.
    fn pile_up(&mut self, mut pile: Pile, spectra: &Spectra, rows: &[u32]) -> Result<Read, Fault> {
        let (width, precision) = (spectra.width(), self.precision);
        let encode = |pixels: &mut Pixels, rows: &[u32]| {
            spectra.read(rows, pixels)?;
            precision.round_pixels(&mut pixels.flux, &mut pixels.ivar);
            let each = |row: usize| {
                let part = row * width..(row + 1) * width;
                let (flux, ivar) = (&pixels.flux[part.clone()], &pixels.ivar[part.clone()]);
                let mask = &pixels.mask[part];
                (pile.encode(flux, ivar, mask), hash(flux, ivar, mask))
            };
            let encoded: Vec<(Encoded, i64)> = (0..rows.len()).map(each).collect();
            Ok((encoded, std::mem::take(&mut pixels.good), pixels.repaired))
        };
        let blocks = rows.par_chunks(self.layout.page_rows.max(1));
        let blocks: Vec<_> =
            blocks.map_init(Pixels::default, encode).collect::<Result<_, fits::Error>>()?;
        let (mut good, mut hashes) = (Vec::new(), Vec::new());
        for (encoded, counted, repaired) in blocks {
            for (row, hash) in encoded {
                pile.put(&row)?;
                hashes.push(hash);
            }
            good.extend(counted);
            self.repaired += repaired;
        }
        self.pile = Some(pile);
        Ok(Read { chunks: Vec::new(), good, hashes })
    }

    /// Where the arrays of rows are, from a row on.
    fn places(&self, start: usize, hashes: Vec<i64>) -> [ArrayRef; 4] {
        let rows = start..start + hashes.len();
        let tile = &self.tile;
        let file = format!("{}/{}.h5", store::PRODUCT, pixel_path(tile.pixel).display());
        let group = format!("/{}/{}/{}", tile.release, tile.survey, tile.program);
        let same = |text: &str| StringArray::from_iter_values(rows.clone().map(|_| text));
        let row = Int32Array::from_iter_values(rows.clone().map(|row| row as i32));
        [
            Arc::new(same(&file)),
            Arc::new(same(&group)),
            Arc::new(row),
            Arc::new(Int64Array::from(hashes)),
        ]
    }

    fn write_group(
        &mut self,
        read: Read,
        scalars: &RecordBatch,
        start: usize,
    ) -> Result<(), Fault> {
        let mut scalars = with_counts(scalars, &read.good)?;
        if self.pile.is_some() {
            scalars.extend(self.places(start, read.hashes));
        }
        let schema = &self.schema;
        let writers = self.factory.create_column_writers(self.file.flushed_row_groups().len())?;
        let chunks: Vec<ArrowColumnChunk> = writers
            .into_par_iter()
            .zip(scalars.par_iter())
            .enumerate()
            .map(|(i, (writer, array))| encode_scalar(writer, schema.field(i), array))
            .collect::<Result<_, Fault>>()?;
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        for chunk in read.chunks {
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
    field: &Field,
    array: &ArrayRef,
) -> Result<ArrowColumnChunk, Fault> {
    for leaf in compute_leaves(field, array)? {
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
