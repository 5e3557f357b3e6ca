//! Rows near the edges of a catalog's pixels, once more for the pixels beyond: a margin cache, without which
//! LSDB's crossmatch loses pairs that an edge parts.
//!
//! Whole rows are copied, so that all columns of the catalog are there. It is made anew in a folder of its own
//! where a file is another than it was; the collection names one or the other.

use super::catalog::{Catalog, value};
use super::collection::{Progress, map_files, short};
use super::{Content, Partition, Partitions, columns};
use crate::VERSION;
use crate::guard::guard;
use crate::layout::{self, DATASET};
use crate::sky::{self, cells_near};
use crate::tile::Pixel;
use crate::whole::flush_folder;
use arrow::array::{Array, AsArray, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Schema};
use arrow::error::ArrowError;
use bifrost_sha256::Sha256;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const PREFIX: &str = "margin.";
const DRAFT: &str = "draft.margin";
const THRESHOLD: &str = "hats_margin_threshold";
const ROWS: &str = "hats_nrows";
/// Rows of arrays are large.
const BATCH_ROWS: usize = 256;

/// A margin cache.
pub(super) struct Margin {
    /// Its folder in the collection.
    pub(super) name: String,
    pub(super) rows: u64,
}

/// How far the rows of a margin cache may be from a pixel, arc seconds.
pub(super) fn threshold_of(margin: &Path) -> Option<f64> {
    value(&fs::read_to_string(margin.join("hats.properties")).ok()?, THRESHOLD)?.parse().ok()
}

/// Whether a catalog's pixels are large enough for a threshold; says so where they are not.
pub(super) fn is_possible(
    product: &str,
    catalog: &Catalog,
    arcsec: f64,
    missing: &mut Vec<String>,
) -> bool {
    let pixels = Pixels::of(&catalog.partitions);
    let (order, most) = (pixels.deepest(), pixels.size_arcsec() / 4.0);
    let is_possible = arcsec <= most;
    if !is_possible {
        missing.push(format!(
            "{product} has no margin of {arcsec} arc seconds: that is much for its pixels of order {order}; at most {most:.0}"
        ));
    }
    is_possible
}

/// Makes the margin cache of a catalog, unless it is there; `None` where there can be none, or no row is
/// near an edge. Files that cannot be read are named in `missing`.
pub(super) fn make(
    collection: &Path,
    product: &str,
    catalog: &Catalog,
    files: &[(Partition, PathBuf)],
    arcsec: f64,
    progress: Progress<'_>,
    missing: &mut Vec<String>,
) -> io::Result<Option<Margin>> {
    let Some(schema) = catalog.schema.as_ref().filter(|_| catalog.has_positions()) else {
        return Ok(None);
    };
    let pixels = Pixels::of(&catalog.partitions);
    let made_of = fingerprint(files, &catalog.schemas, arcsec)?;
    let name = format!("{PREFIX}{made_of}");
    let text = fs::read_to_string(collection.join(&name).join("hats.properties"));
    if let Some(rows) = text.ok().and_then(|text| value(&text, ROWS)?.parse().ok()) {
        return Ok(Some(Margin { name, rows }));
    }
    let near = map_files(files.iter().collect(), progress, |(own, path)| {
        rows_near_edges(path, *own, &pixels, arcsec)
    });
    let mut parts: BTreeMap<Partition, Vec<(&Path, Vec<u32>)>> = BTreeMap::new();
    let mut failed = Vec::new();
    for ((_, path), near) in files.iter().zip(near) {
        match near {
            Ok(near) => near
                .into_iter()
                .for_each(|(there, rows)| parts.entry(there).or_default().push((path, rows))),
            Err(e) => failed.push((path.as_path(), e)),
        }
    }
    let draft = collection.join(DRAFT);
    if draft.exists() {
        fs::remove_dir_all(&draft)?;
    }
    let dataset = draft.join(DATASET);
    let nullable = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
    let written_as = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
    let written = map_files(parts.into_iter().collect(), progress, |(there, from)| {
        copy(&dataset, there, &from, &written_as).map(|copied| (there, copied))
    });
    let mut partitions = Partitions::default();
    for copied in written {
        let (there, (content, mut lost)) = copied?;
        failed.append(&mut lost);
        if content.rows > 0 {
            partitions.0.insert(there, content);
        }
    }
    failed.sort();
    failed.dedup_by_key(|(path, _)| *path);
    missing.extend(
        failed.iter().map(|(path, e)| format!("{} is not in the margin: {e}", path.display())),
    );
    let rows = partitions.total().rows;
    if rows == 0 {
        return Ok(None);
    }
    // what lacks a file is made anew each time
    let name = if failed.is_empty() { name } else { name + "-" };
    let common = columns::common_metadata(product, schema).map_err(io::Error::other)?;
    let text = properties(product, schema, &partitions, arcsec);
    fs::write(dataset.join("_common_metadata"), common)?;
    fs::write(draft.join("partition_info.csv"), partitions.csv())?;
    for name in ["properties", "hats.properties"] {
        fs::write(draft.join(name), &text)?;
    }
    for entry in walkdir::WalkDir::new(&draft).contents_first(true) {
        File::open(entry.map_err(io::Error::other)?.path())?.sync_all()?;
    }
    let place = collection.join(&name);
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::rename(&draft, &place)?;
    flush_folder(collection)?;
    Ok(Some(Margin { name, rows }))
}

/// Removes the margin caches of a collection but the one that it names.
pub(super) fn remove_others(collection: &Path, named: Option<&str>) -> io::Result<()> {
    for entry in fs::read_dir(collection)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name == DRAFT || name.starts_with(PREFIX) && Some(name.as_ref()) != named {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Tells what a margin cache is made of.
fn fingerprint(
    files: &[(Partition, PathBuf)],
    schemas: &[String],
    arcsec: f64,
) -> io::Result<String> {
    let mut hash = Sha256::new();
    hash.update(super::collection::fingerprint(files)?.as_bytes());
    hash.update(format!("{arcsec} {schemas:?}").as_bytes());
    Ok(short(hash))
}

/// The pixels of a catalog, which lie apart from each other.
struct Pixels<'a> {
    there: &'a BTreeMap<Partition, Content>,
    /// Their orders, and that of tiles; the deepest last.
    orders: Vec<u8>,
}

impl<'a> Pixels<'a> {
    fn of(partitions: &'a Partitions) -> Self {
        let mut orders: Vec<u8> = partitions.0.keys().map(|(order, _)| *order).collect();
        orders.push(Pixel::ORDER);
        orders.sort_unstable();
        orders.dedup();
        Self { there: &partitions.0, orders }
    }

    fn deepest(&self) -> u8 {
        self.orders.last().copied().unwrap_or(Pixel::ORDER)
    }

    /// How long the sides of the smallest ones are, about.
    fn size_arcsec(&self) -> f64 {
        sky::cell_area_deg2(self.deepest()).sqrt() * 3600.0
    }

    /// The one that holds a cell of the deepest order; where there is none, that cell.
    fn around(&self, cell: u64) -> Partition {
        let deepest = self.deepest();
        let of_order = |order: &u8| (*order, cell >> (2 * (deepest - order)));
        let found = self.orders.iter().map(of_order).find(|pixel| self.there.contains_key(pixel));
        found.unwrap_or((deepest, cell))
    }
}

/// Rows of a file that may be nearer to other pixels than the threshold, by these pixels.
fn rows_near_edges(
    path: &Path,
    own: Partition,
    pixels: &Pixels<'_>,
    arcsec: f64,
) -> Result<BTreeMap<Partition, Vec<u32>>, String> {
    let read = || -> Result<_, ParquetError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), ["ra", "dec"]);
        let (radius, deepest) = ((arcsec / 3600.0).to_radians(), pixels.deepest());
        let mut near: BTreeMap<Partition, Vec<u32>> = BTreeMap::new();
        let mut row = 0;
        for batch in builder.with_projection(mask).with_batch_size(1 << 16).build()? {
            let batch = batch?;
            let (Some(ra), Some(dec)) = (batch.column_by_name("ra"), batch.column_by_name("dec"))
            else {
                break;
            };
            let [ra, dec] = [doubles(ra)?, doubles(dec)?];
            let [ra, dec] = [ra.as_primitive::<Float64Type>(), dec.as_primitive::<Float64Type>()];
            for position in ra.iter().zip(dec) {
                if let (Some(ra), Some(dec)) = position
                    && ra.is_finite()
                    && (-90.0..=90.0).contains(&dec)
                {
                    let mut last = None;
                    for cell in cells_near(deepest, (ra, dec), radius) {
                        if last.replace(cell) == Some(cell) {
                            continue;
                        }
                        let there = pixels.around(cell);
                        if there != own {
                            let rows = near.entry(there).or_default();
                            rows.extend((rows.last() != Some(&row)).then_some(row));
                        }
                    }
                }
                row += 1;
            }
        }
        Ok(near)
    };
    said(guard(read))
}

fn doubles(column: &dyn Array) -> Result<arrow::array::ArrayRef, ArrowError> {
    cast_with_options(
        column,
        &DataType::Float64,
        &CastOptions { safe: false, ..CastOptions::default() },
    )
}

fn said<T>(done: Result<Result<T, ParquetError>, crate::guard::Panicked>) -> Result<T, String> {
    match done {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(panicked) => Err(panicked.to_string()),
    }
}

/// Files, and why they could not be read.
type Failed<'a> = Vec<(&'a Path, String)>;

/// Copies rows into the file of a pixel.
fn copy<'a>(
    dataset: &Path,
    there: Partition,
    from: &[(&'a Path, Vec<u32>)],
    schema: &Arc<Schema>,
) -> io::Result<(Content, Failed<'a>)> {
    let path = dataset.join(layout::partition_path(there)).with_added_extension("parquet");
    fs::create_dir_all(path.parent().unwrap_or(dataset))?;
    // of so few rows Zstandard would mostly make itself ready, column by column
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(File::create(&path)?, schema.clone(), Some(properties))
        .map_err(io::Error::other)?;
    let (mut rows, mut failed) = (0, Vec::new());
    for (path, wanted) in from {
        match said(guard(|| rows_of(path, wanted, schema))) {
            Ok(batches) => {
                for batch in batches {
                    rows += batch.num_rows() as u64;
                    writer.write(&batch).map_err(io::Error::other)?;
                }
            }
            Err(e) => failed.push((*path, e)),
        }
    }
    writer.close().map_err(io::Error::other)?;
    if rows == 0 {
        fs::remove_file(&path)?;
        return Ok((Content::default(), failed));
    }
    Ok((Content { rows, files: 1, size_bytes: fs::metadata(&path)?.len() }, failed))
}

/// Some rows of a file, ascending, with the columns of the catalog.
fn rows_of(
    path: &Path,
    wanted: &[u32],
    schema: &Arc<Schema>,
) -> Result<Vec<RecordBatch>, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let all = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(usize::MAX);
    let ranges = wanted.iter().map(|row| *row as usize..*row as usize + 1);
    let selection = RowSelection::from_consecutive_ranges(ranges, all);
    let reader = builder.with_row_selection(selection).with_batch_size(BATCH_ROWS).build()?;
    reader.map(|batch| Ok(with_columns(&batch?, schema)?)).collect()
}

/// A batch with just the columns of a schema: NULL where it lacks one.
fn with_columns(batch: &RecordBatch, schema: &Arc<Schema>) -> Result<RecordBatch, ArrowError> {
    let column = |field: &arrow::datatypes::FieldRef| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
        Some(column) => {
            let whole = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(column, field.data_type(), &whole)
        }
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    };
    let columns = schema.fields().iter().map(column).collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema.clone(), columns)
}

fn properties(product: &str, schema: &Schema, partitions: &Partitions, arcsec: f64) -> String {
    let total = partitions.total();
    let (order, covered) = partitions.coverage();
    let share = covered.len() as f64 * sky::cell_area_deg2(order) / (12.0 * sky::cell_area_deg2(0));
    let largest = partitions.0.values().map(|content| content.rows).max().unwrap_or_default();
    let deepest = partitions.0.keys().map(|(order, _)| *order).max().unwrap_or(order);
    let mut text = "#HATS margin cache, kept by bifrost\n".to_owned();
    let mut put = |key: &str, value: &dyn std::fmt::Display| {
        // writing to a string cannot fail
        let _ = writeln!(text, "{key}={value}");
    };
    put("obs_collection", &format_args!("{product}_margin"));
    put("dataproduct_type", &"margin");
    put(ROWS, &total.rows);
    put("hats_col_ra", &"ra");
    put("hats_col_dec", &"dec");
    put("hats_cols_default", &columns::defaults(schema).join(" "));
    put("hats_col_healpix", &"_healpix_29");
    put("hats_col_healpix_order", &sky::ORDER);
    put("hats_primary_table_url", &product);
    put(THRESHOLD, &arcsec);
    put("hats_npix_suffix", &".parquet");
    put("hats_order", &deepest);
    put("hats_max_rows", &largest);
    put("hats_estsize", &total.size_bytes.div_ceil(1024));
    put("moc_sky_fraction", &format_args!("{share:.5}"));
    put("hats_builder", &format_args!("bifrost {VERSION}"));
    put("hats_version", &"v1.0");
    text
}
