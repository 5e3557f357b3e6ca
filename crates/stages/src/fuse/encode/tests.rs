//! What is encoded is read back by the Parquet crate, whole and row by row.

use super::*;
use crate::fits::tests::{image, opened, primary};
use crate::fuse::findings::Findings;
use crate::fuse::schema::SCHEMA;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::writer::SerializedFileWriter;
use std::sync::Arc;

const WIDTHS: [usize; 3] = [9, 1, 5];
const ROWS: usize = 37;

/// What a pixel of a row holds.
struct Truth {
    flux: fn(usize, usize) -> f32,
    mask: fn(usize, usize) -> i32,
}

fn ivar(row: usize, pixel: usize) -> f32 {
    if pixel == 3 { 0.0 } else { row as f32 + 0.25 }
}

fn spectra(truth: &Truth) -> (tempfile::TempDir, Spectra) {
    let mut parts = vec![primary()];
    let mut first = 0;
    for (arm, width) in ["B", "R", "Z"].iter().zip(WIDTHS) {
        let wave = (0..width).flat_map(|i| (4000.0 + (first + i) as f64).to_be_bytes());
        parts.push(image(
            &format!("{arm}_WAVELENGTH"),
            -64,
            &[width as u64],
            &wave.collect::<Vec<_>>(),
        ));
        let cells = || (0..ROWS).flat_map(move |r| (first..first + width).map(move |p| (r, p)));
        let axes = [width as u64, ROWS as u64];
        let flux: Vec<u8> = cells().flat_map(|(r, p)| (truth.flux)(r, p).to_be_bytes()).collect();
        let weights: Vec<u8> = cells().flat_map(|(r, p)| ivar(r, p).to_be_bytes()).collect();
        let mask: Vec<u8> = cells().flat_map(|(r, p)| (truth.mask)(r, p).to_be_bytes()).collect();
        parts.push(image(&format!("{arm}_FLUX"), -32, &axes, &flux));
        parts.push(image(&format!("{arm}_IVAR"), -32, &axes, &weights));
        parts.push(image(&format!("{arm}_MASK"), 32, &axes, &mask));
        first += width;
    }
    let (dir, fits) = opened(&parts);
    let mut findings = Findings::default();
    let spectra = Spectra::open(&fits.expect("opened"), None, (0.0, 1e5), &mut findings);
    (dir, spectra.unwrap_or_else(|| panic!("{findings:?}")))
}

/// Encodes rows in two groups and returns the file.
fn encode(spectra: &Spectra, rows: &[u32], layout: Layout) -> Bytes {
    let arrays = SCHEMA.fields().len() - 4;
    let schema = Schema::new(SCHEMA.fields()[arrays..].to_vec());
    let parquet = ArrowSchemaConverter::new().convert(&schema).expect("a schema");
    let columns = std::array::from_fn(|i| parquet.columns()[i].clone());
    let mut file = SerializedFileWriter::new(Vec::new(), parquet.root_schema_ptr(), Arc::default())
        .expect("begun");
    let mut encoder = ArrayEncoder::new(spectra, layout, Precision::Exact);
    for rows in rows.chunks(layout.group_rows) {
        let encoded = encoder.encode(spectra, rows, &columns).expect("encoded");
        assert_eq!(encoded.good.len(), rows.len());
        let mut group = file.next_row_group().expect("a group");
        for chunk in encoded.chunks {
            let (bytes, close) = chunk.into_parts();
            group.append_column(&bytes, close).expect("appended");
        }
        group.close().expect("closed");
    }
    Bytes::from(file.into_inner().expect("finished"))
}

fn check(batch: &RecordBatch, rows: &[u32], truth: &Truth) {
    assert_eq!(batch.num_rows(), rows.len());
    let width: usize = WIDTHS.iter().sum();
    for (i, row) in rows.iter().enumerate() {
        let row = *row as usize;
        let list = |column: usize| batch.column(column).as_list::<i32>().value(i);
        let wave: Vec<f64> = (0..width).map(|p| 4000.0 + p as f64).collect();
        assert_eq!(list(0).as_primitive::<Float64Type>().values(), &wave[..]);
        let flux: Vec<f32> = (0..width).map(|p| (truth.flux)(row, p)).collect();
        assert_eq!(list(1).as_primitive::<Float32Type>().values(), &flux[..]);
        let weights: Vec<f32> = (0..width).map(|p| ivar(row, p)).collect();
        assert_eq!(list(2).as_primitive::<Float32Type>().values(), &weights[..]);
        let mask: Vec<i32> = (0..width).map(|p| (truth.mask)(row, p)).collect();
        assert_eq!(list(3).as_primitive::<Int32Type>().values(), &mask[..]);
    }
}

const PLAIN: Truth = Truth {
    flux: |row, pixel| row as f32 * 1.5 - pixel as f32,
    mask: |row, pixel| if row == 5 && pixel > 2 { i32::MIN + 4 } else { (row == pixel) as i32 },
};

#[test]
fn rows_come_back_in_the_order_asked_for() {
    let (_dir, spectra) = spectra(&PLAIN);
    let rows: Vec<u32> = (0..ROWS as u32).map(|i| (i * 11 + 5) % ROWS as u32).collect();
    for codec in [Codec::Zstd(1), Codec::Snappy, Codec::Uncompressed] {
        for (group_rows, page_rows) in [(512, 8), (10, 4), (7, 100), (1, 1)] {
            let file = encode(&spectra, &rows, Layout { group_rows, page_rows, codec });
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
            let batches: Vec<_> = reader.with_batch_size(1024).build().expect("readable").collect();
            let batches: Vec<_> = batches.into_iter().map(|b| b.expect("whole")).collect();
            let schema = batches[0].schema();
            let batch = arrow::compute::concat_batches(&schema, &batches).expect("one schema");
            check(&batch, &rows, &PLAIN);
        }
    }
}

#[test]
fn single_rows_are_found_by_the_page_index() {
    let (_dir, spectra) = spectra(&PLAIN);
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let layout = Layout { group_rows: 20, page_rows: 3, codec: Codec::Zstd(1) };
    let file = encode(&spectra, &rows, layout);
    for row in [0usize, 1, 2, 3, 19, 20, 35, 36] {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), options)
            .expect("an index");
        let only = RowSelection::from(vec![RowSelector::skip(row), RowSelector::select(1)]);
        let mut batches = reader.with_row_selection(only).build().expect("readable");
        let batch = batches.next().expect("a batch").expect("whole");
        check(&batch, &rows[row..=row], &PLAIN);
        assert!(batches.next().is_none());
    }
}

#[test]
fn any_mask_is_kept() {
    // no two masks alike: the dictionary would be as large as the column
    let truth = Truth { flux: |_, _| 0.0, mask: |row, pixel| (row * 1000 + pixel) as i32 };
    let (_dir, spectra) = spectra(&truth);
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let layout = Layout { group_rows: 512, page_rows: 8, codec: Codec::Zstd(1) };
    let file = encode(&spectra, &rows, layout);
    let mut batches =
        ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("readable");
    check(&batches.next().expect("a batch").expect("whole"), &rows, &truth);
}

#[test]
fn too_many_masks_are_written_plainly() {
    let grid = Grid::new(&[1.0, 2.0]);
    let encoder = ArrayEncoder {
        layout: Layout::default(),
        precision: Precision::Exact,
        grid,
        wavelength_pages: HashMap::new(),
    };
    let runs = (0..2 * MAX_MASKS as i32 + 2).map(|mask| (mask, 1)).collect();
    let masks = Masks { rows: MAX_MASKS + 1, runs };
    let (dictionary, pages) = encoder.encode_masks(&[masks]).expect("encoded");
    assert!(dictionary.is_none() && pages.len() == 1);
}

#[test]
fn masks_become_runs() {
    let mut mask = vec![0; 100];
    mask[40] = 7;
    mask[98..].fill(2);
    assert_eq!(runs(&mask), [(0, 40), (7, 1), (0, 57), (2, 2)]);
    assert_eq!(runs(&[]), []);
}
