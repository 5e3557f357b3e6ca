//! Which pixels hold a TARGETID: an index catalog, for LSDB's `id_search`.
//!
//! ```text
//! …/target_id/hats.properties    what it is, and what it was made of
//! …/target_id/dataset/…          its rows, by TARGETID: target_id, Norder, Npix
//! ```
//!
//! It is made of the files themselves, and anew where one of them is another than it was.

use super::Partition;
use super::collection::{Progress, map_files};
use super::disk::parquet_files;
use crate::VERSION;
use crate::guard::guard;
use crate::layout::DATASET;
use crate::whole::{flush_folder, write_changed};
use arrow::array::{AsArray, Int64Array, RecordBatch, UInt8Array, UInt64Array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataWriter, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;
use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const COLUMN: &str = "target_id";
const PROPERTIES: [&str; 2] = ["properties", "hats.properties"];
/// Of which files the index is.
const MADE_OF: &str = "bifrost_made_of";
/// What a look for some TARGETIDs has to decode.
const GROUP_ROWS: usize = 1 << 16;

/// A row of the index: an object, and where its pixel is.
type Entry = (i64, Partition);

/// Makes the index of a product's files in its collection, or brings it up to date; gives its rows, `None`
/// where the product has no TARGETIDs. Files that cannot be read are named in `missing`.
pub(super) fn make(
    collection: &Path,
    product: &str,
    files: &[(Partition, PathBuf)],
    made_of: &str,
    progress: Progress<'_>,
    missing: &mut Vec<String>,
) -> io::Result<Option<u64>> {
    let index = collection.join(COLUMN);
    if let Some(rows) = rows_of(&index, made_of) {
        return Ok(Some(rows));
    }
    let read =
        map_files(files.iter().collect(), progress, |(partition, path)| ids_in(path, *partition));
    let (mut entries, mut has_ids, mut is_whole) = (Vec::new(), false, true);
    for ((_, path), read) in files.iter().zip(read) {
        match read {
            Ok(Some(ids)) => {
                has_ids = true;
                entries.extend(ids);
            }
            Ok(None) => {}
            Err(e) => {
                is_whole = false;
                missing.push(format!("{} is not in the index: {e}", path.display()));
            }
        }
    }
    if !has_ids {
        return Ok(None);
    }
    entries.par_sort_unstable();
    entries.dedup();
    // what lacks a file is made anew each time
    let made_of = if is_whole { made_of.to_owned() } else { format!("{made_of}-") };
    write_index(&index, product, &entries, &made_of)?;
    Ok(Some(entries.len() as u64))
}

/// Rows of the index that is there, if it is whole and of these files.
fn rows_of(index: &Path, made_of: &str) -> Option<u64> {
    let text = fs::read_to_string(index.join("hats.properties")).ok()?;
    let value = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
    let is_there = index.join(DATASET).join(part(made_of)).is_file();
    value(MADE_OF).filter(|known| *known == made_of && is_there)?;
    value("hats_nrows")?.parse().ok()
}

fn part(made_of: &str) -> String {
    format!("index.{made_of}.parquet")
}

/// The TARGETIDs of a file; `None` if it has no column of them.
fn ids_in(path: &Path, partition: Partition) -> Result<Option<Vec<Entry>>, String> {
    let read = || -> Result<Option<Vec<Entry>>, ParquetError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
        let fields = builder.schema().fields();
        let is_key = |field: &Arc<Field>| field.name() == COLUMN && field.data_type().is_integer();
        let Some(column) = fields.iter().position(is_key) else { return Ok(None) };
        let mask = ProjectionMask::roots(builder.parquet_schema(), [column]);
        let mut entries = Vec::new();
        for batch in builder.with_projection(mask).with_batch_size(GROUP_ROWS).build()? {
            let whole = CastOptions { safe: false, ..CastOptions::default() };
            let ids = cast_with_options(batch?.column(0), &DataType::Int64, &whole)?;
            let ids = ids.as_primitive::<Int64Type>().iter().flatten();
            entries.extend(ids.map(|id| (id, partition)));
        }
        Ok(Some(entries))
    };
    match guard(read) {
        Ok(read) => read.map_err(|e| e.to_string()),
        Err(panicked) => Err(panicked.to_string()),
    }
}

/// Writes the index: its rows by a name of their own, then what leads to them, then what it is.
fn write_index(index: &Path, product: &str, entries: &[Entry], made_of: &str) -> io::Result<()> {
    let dataset = index.join(DATASET);
    fs::create_dir_all(&dataset)?;
    let draft = index.join("draft");
    let rows = dataset.join(part(made_of));
    let (metadata, schema) = write_rows(&draft, entries).map_err(io::Error::other)?;
    File::open(&draft)?.sync_all()?;
    fs::rename(&draft, &rows)?;
    flush_folder(&dataset)?;
    let pointer = pointer(metadata, &part(made_of)).map_err(io::Error::other)?;
    let common = ArrowWriter::try_new(Vec::new(), schema, None).and_then(ArrowWriter::into_inner);
    let common = common.map_err(io::Error::other)?;
    let properties = properties(product, entries.len(), made_of);
    let [legacy, today] = PROPERTIES.map(|name| index.join(name));
    let (at, common_at) = (dataset.join("_metadata"), dataset.join("_common_metadata"));
    write_changed(&[(&common_at, &common), (&at, &pointer)], &draft)?;
    flush_folder(&dataset)?;
    write_changed(&[(&legacy, properties.as_bytes()), (&today, properties.as_bytes())], &draft)?;
    flush_folder(index)?;
    for older in parquet_files(&dataset)?.iter().filter(|path| **path != rows) {
        fs::remove_file(older)?;
    }
    Ok(())
}

/// Writes the rows into a file.
fn write_rows(
    path: &Path,
    entries: &[Entry],
) -> Result<(ParquetMetaData, Arc<Schema>), ParquetError> {
    let field = |name: &str, data_type| Field::new(name, data_type, false);
    let schema = Arc::new(Schema::new(vec![
        field(COLUMN, DataType::Int64),
        field("Norder", DataType::UInt8),
        field("Npix", DataType::UInt64),
    ]));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_column_dictionary_enabled(COLUMN.into(), false)
        .set_column_encoding(COLUMN.into(), Encoding::DELTA_BINARY_PACKED)
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, schema.clone(), Some(properties))?;
    for entries in entries.chunks(GROUP_ROWS) {
        let ids = Int64Array::from_iter_values(entries.iter().map(|(id, _)| *id));
        let orders = UInt8Array::from_iter_values(entries.iter().map(|(_, (order, _))| *order));
        let pixels = UInt64Array::from_iter_values(entries.iter().map(|(_, (_, pixel))| *pixel));
        let columns = vec![Arc::new(ids) as _, Arc::new(orders) as _, Arc::new(pixels) as _];
        writer.write(&RecordBatch::try_new(schema.clone(), columns)?)?;
    }
    Ok((writer.close()?, schema))
}

/// `_metadata`: the footer of the rows' file, which says where that lies.
fn pointer(metadata: ParquetMetaData, part: &str) -> Result<Vec<u8>, ParquetError> {
    let led = |group: &RowGroupMetaData| {
        let columns = group.columns().iter().cloned();
        let columns = columns
            .map(|column| column.into_builder().set_file_path(part.to_owned()).build())
            .collect::<Result<_, _>>()?;
        group.clone().into_builder().set_column_metadata(columns).build()
    };
    let groups = metadata.row_groups().iter().map(led).collect::<Result<_, ParquetError>>()?;
    let metadata = ParquetMetaData::new(metadata.file_metadata().clone(), groups);
    let mut bytes = b"PAR1".to_vec();
    ParquetMetaDataWriter::new(&mut bytes, &metadata).finish()?;
    Ok(bytes)
}

fn properties(product: &str, rows: usize, made_of: &str) -> String {
    let mut text = "#HATS index, kept by bifrost\n".to_owned();
    // writing to a string cannot fail
    let _ = writeln!(text, "obs_collection={product}_{COLUMN}");
    let _ = writeln!(text, "dataproduct_type=index");
    let _ = writeln!(text, "hats_nrows={rows}");
    let _ = writeln!(text, "hats_primary_table_url={product}");
    let _ = writeln!(text, "hats_index_column={COLUMN}");
    let _ = writeln!(text, "hats_builder=bifrost {VERSION}");
    let _ = writeln!(text, "hats_version=v1.0");
    let _ = writeln!(text, "{MADE_OF}={made_of}");
    text
}
