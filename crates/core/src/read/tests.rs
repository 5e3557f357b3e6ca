//! Reading real files in a temporary folder, resolved by hand.

use super::{Error, Options, read};
use crate::predicate::Predicate;
use crate::resolution::{Pruned, Query, Resolution, ResolvedFile};
use crate::sky::Region;
use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float32Array, Float64Array, Int64Array, ListArray,
    RecordBatch, StringArray, UInt32Array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type};
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const ROWS: i64 = 100;
const GROUP_ROWS: i64 = 20;

/// Objects along the equator, a degree apart, each with an array as long as its number.
fn objects(first: i64) -> Vec<(&'static str, ArrayRef)> {
    let ids = || first..first + ROWS;
    let z = Float64Array::from_iter(ids().map(|id| (id % 10 != 0).then_some(id as f64 / 10.0)));
    let flux = ListArray::from_iter_primitive::<Float32Type, _, _>(
        ids().map(|id| Some((0..id % 7).map(|i| Some((id + i) as f32)).collect::<Vec<_>>())),
    );
    vec![
        ("target_id", Arc::new(Int64Array::from_iter_values(ids()))),
        ("ra", Arc::new(Float64Array::from_iter_values(ids().map(|id| id as f64)))),
        ("dec", Arc::new(Float64Array::from_iter_values(ids().map(|_| 0.0)))),
        ("z", Arc::new(z)),
        ("flux", Arc::new(flux)),
    ]
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)));
    let batch = batch.expect("columns of one length");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(GROUP_ROWS as usize))
        .set_data_page_row_count_limit(3)
        .set_write_batch_size(3)
        .build();
    let file = File::create(path).expect("a file");
    let mut writer =
        ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
}

fn resolved(paths: &[&Path]) -> Resolution {
    let files = paths.iter().enumerate().map(|(i, path)| {
        let metadata = fs::metadata(path).expect("the file");
        ResolvedFile {
            file_id: i as i64,
            node: "here".into(),
            path: path.to_path_buf(),
            uri: Some(path.display().to_string()),
            product: "spectra".into(),
            num_rows: ROWS,
            row_groups: (0..(ROWS / GROUP_ROWS) as usize).collect(),
            rows: None,
            size_bytes: metadata.size() as i64,
            schema_id: None,
            mtime_ns: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
            ended_commit: None,
            lost: None,
            spans: Vec::new(),
            row_groups_in_file: (ROWS / GROUP_ROWS) as usize,
            aligned: Vec::new(),
        }
    });
    let pruned = Pruned::default();
    Resolution {
        version: 1,
        commit: 1,
        files: files.collect(),
        pruned,
        targets: None,
        patterns: Vec::new(),
    }
}

fn query(text: &str) -> Query {
    Query { predicate: Some(Predicate::parse(text).expect("a predicate")), ..Query::default() }
}

fn rows(resolution: &Resolution, query: &Query, options: &Options) -> Result<RecordBatch, Error> {
    let reading = read(resolution, query, options)?;
    let schema = reading.schema();
    let batches = reading.collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches).expect("batches of one schema"))
}

fn ids(batch: &RecordBatch) -> Vec<i64> {
    batch["target_id"].as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn matching_rows_come_in_order_with_their_arrays() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<_> = (0..7).map(|i| folder.path().join(format!("{i}.parquet"))).collect();
    for (i, path) in paths.iter().enumerate() {
        write(path, objects(i as i64 * ROWS));
    }
    let resolution = resolved(&paths.iter().map(|p| p.as_path()).collect::<Vec<_>>());
    let question =
        query("z > 12.25 AND (z < 31 OR target_id IN (555, 556, 560)) AND z IS NOT NULL");
    let wanted: Vec<i64> = (123..310).chain([555, 556]).filter(|id| id % 10 != 0).collect();
    for (threads, batch_bytes) in [(1, 1), (2, 500), (4, 1 << 20)] {
        let options = Options { threads, batch_bytes, ..Options::default() };
        let found = rows(&resolution, &question, &options).expect("rows");
        assert_eq!(ids(&found), wanted);
        for (row, id) in ids(&found).into_iter().enumerate() {
            let flux = found["flux"].as_list::<i32>().value(row);
            let flux = flux.as_primitive::<Float32Type>().values();
            assert_eq!(flux.len() as i64, id % 7);
            assert!(flux.iter().enumerate().all(|(i, f)| *f == (id + i as i64) as f32));
        }
    }
    let limited = Options { limit: Some(40), ..Options::default() };
    assert_eq!(ids(&rows(&resolution, &question, &limited).expect("rows")), wanted[..40]);
    let none = Options { limit: Some(0), ..Options::default() };
    assert_eq!(rows(&resolution, &question, &none).expect("rows").num_rows(), 0);
}

#[test]
fn only_chosen_row_groups_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    write(&path, objects(0));
    let mut resolution = resolved(&[&path]);
    resolution.files[0].row_groups = vec![1, 4];
    let found = rows(&resolution, &query("TRUE"), &Options::default()).expect("rows");
    assert_eq!(ids(&found), (20..40).chain(80..100).collect::<Vec<_>>());
}

#[test]
fn rows_that_are_known_are_read_by_their_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let [one, other] = ["a", "b"].map(|name| folder.path().join(name));
    write(&one, objects(0));
    write(&other, objects(100));
    let mut resolution = resolved(&[&one, &other]);
    // across the edges of row groups of 20, one group left out, and rows of which none is chosen
    resolution.files[0].row_groups = vec![0, 1, 2, 4];
    resolution.files[0].rows = Some(vec![0, 18, 19, 20, 55, 70, 98, 99]);
    // of the other file only the objects are known
    resolution.targets = Some(vec![18, 101, 155, 9999]);
    let found = |text| ids(&rows(&resolution, &query(text), &Options::default()).expect("rows"));
    assert_eq!(found("TRUE"), [0, 18, 19, 20, 55, 98, 99, 101, 155]);
    assert_eq!(found("target_id > 18 AND target_id < 120"), [19, 20, 55, 98, 99, 101]);
}

#[test]
fn a_cone_is_exact_and_holds_no_row_without_position() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let ra = [359.5, 0.0, 0.5, -0.75, 10.0, f64::NAN, 0.1, 0.1];
    let dec =
        [Some(0.0), Some(0.0), Some(0.9), Some(0.0), Some(0.0), Some(0.0), None, Some(-360.0)];
    write(
        &path,
        vec![
            ("TARGETID", Arc::new(Int64Array::from_iter_values(0..8))),
            ("RA", Arc::new(Float32Array::from_iter_values(ra.map(|v| v as f32)))),
            ("DEC", Arc::new(Float64Array::from_iter(dec))),
        ],
    );
    let cone = vec![Region::Cone("0,0,1".parse().expect("a cone"))];
    let mut resolution = resolved(&[&path]);
    resolution.files[0].row_groups = vec![0];
    let asked = Query { regions: cone.clone(), ..Query::default() };
    let found = rows(&resolution, &asked, &Options::default()).expect("rows");
    assert_eq!(found["TARGETID"].as_primitive::<Int64Type>().values(), &[0, 1, 3]);
    let asked = Query { regions: cone, target_ids: Some(vec![3, 2]), ..Query::default() };
    assert_eq!(rows(&resolution, &asked, &Options::default()).expect("rows").num_rows(), 1);
}

#[test]
fn schemas_are_brought_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
    let class = DictionaryArray::<Int32Type>::from_iter(["QSO"; 100].map(Some));
    let mut columns = objects(0);
    columns.remove(4);
    columns.remove(3);
    columns.push(("Z", Arc::new(Float32Array::from_iter_values((0..100).map(|i| i as f32)))));
    columns.push(("spectype", Arc::new(class)));
    write(&old, columns);
    let mut columns = objects(100);
    columns.push(("spectype", Arc::new(StringArray::from_iter_values(["STAR"; 100]))));
    columns.push(("extra", Arc::new(Int64Array::from_iter_values(0..100))));
    write(&new, columns);
    let resolution = resolved(&[&old, &new]);

    let found = rows(&resolution, &query("z >= 97"), &Options::default()).expect("rows");
    assert_eq!(ids(&found), [97, 98, 99]);
    assert_eq!(found["Z"].data_type(), &DataType::Float64);
    assert_eq!(found["Z"].as_primitive::<Float64Type>().values(), &[97.0, 98.0, 99.0]);
    assert_eq!(found["spectype"].as_string::<i32>().value(0), "QSO");
    assert_eq!(found["extra"].null_count(), 3);

    let found = rows(&resolution, &query("extra IS NULL AND z > 98"), &Options::default());
    assert_eq!(ids(&found.expect("rows")), [99]);
    let found = rows(&resolution, &query("extra < 2"), &Options::default()).expect("rows");
    assert_eq!(ids(&found), [100, 101]);

    let columns = Some(vec!["TargetID".into(), "extra".into()]);
    let options = Options { columns, ..Options::default() };
    let found = rows(&resolution, &query("TRUE"), &options).expect("rows");
    assert_eq!((found.num_rows(), found.num_columns()), (200, 2));
    let options = Options { columns: Some(vec!["spectyp".into()]), ..Options::default() };
    let error = read(&resolution, &query("TRUE"), &options).err().expect("unknown");
    assert!(error.is_usage() && error.to_string().contains("'spectype'"), "{error}");
}

#[test]
fn types_that_do_not_go_together_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
    write(&one, objects(0));
    let mut columns = objects(100);
    columns[3].1 = Arc::new(StringArray::from_iter_values(["high"; 100]));
    write(&other, columns);
    let resolution = resolved(&[&one, &other]);
    let error = read(&resolution, &query("ra > 1"), &Options::default()).err().expect("types");
    assert!(error.is_usage() && error.to_string().contains("'z'"), "{error}");
    let options = Options { columns: Some(vec!["target_id".into()]), ..Options::default() };
    assert_eq!(rows(&resolution, &query("ra >= 198"), &options).expect("rows").num_rows(), 2);
    let error = rows(&resolution, &query("z > 1"), &options).expect_err("text is no number");
    assert!(matches!(&error, Error::Comparison { path, .. } if path == &other), "{error}");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let [good, bad] = ["good", "bad"].map(|name| folder.path().join(name));
    write(&good, objects(0));
    write(&bad, objects(100));
    let fresh = resolved(&[&good, &bad]);
    let ended = |resolution: &Resolution| {
        rows(resolution, &query("z > 0"), &Options::default()).expect_err("it must fail")
    };

    let mut away = fresh.clone();
    away.files[1].uri = None;
    assert!(ended(&away).to_string().contains("here:"));

    // a page's bytes are damaged, size and time stay
    let mut bytes = fs::read(&bad).expect("bytes");
    for byte in &mut bytes[4..400] {
        *byte ^= 0xa5;
    }
    fs::write(&bad, &bytes).expect("damaged");
    assert!(matches!(ended(&resolved(&[&good, &bad])), Error::Damaged { path, .. } if path == bad));
    assert!(matches!(ended(&fresh), Error::Changed(path) if path == bad));

    bytes.truncate(bytes.len() - 10);
    fs::write(&bad, &bytes).expect("cut");
    assert!(matches!(ended(&resolved(&[&good, &bad])), Error::Damaged { path, .. } if path == bad));
    fs::remove_file(&bad).expect("removed");
    let error = ended(&fresh);
    assert!(matches!(&error, Error::Vanished(path) if *path == bad), "{error}");
    assert!(error.to_string().contains("bifrost sync"));
}

#[tokio::test]
async fn a_stream_gives_the_same_and_whoever_drops_it_ends_the_reading() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<_> = (0..7).map(|i| folder.path().join(format!("{i}.parquet"))).collect();
    for (i, path) in paths.iter().enumerate() {
        write(path, objects(i as i64 * ROWS));
    }
    let resolution = resolved(&paths.iter().map(|p| p.as_path()).collect::<Vec<_>>());
    let question = query("z > 12.25");
    let options = Options { threads: 2, batch_bytes: 500, ..Options::default() };
    let stream = || read(&resolution, &question, &options).expect("begun").stream();
    let batches: Vec<RecordBatch> = stream().try_collect().await.expect("rows");
    let joined = concat_batches(&stream().schema(), &batches).expect("one schema");
    assert_eq!(joined, rows(&resolution, &question, &options).expect("rows"));

    let is_open = || {
        let open = fs::read_dir("/proc/self/fd").expect("open files");
        let mut to = open.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        to.any(|path| path.starts_with(folder.path()))
    };
    let mut some = stream();
    some.try_next().await.expect("read").expect("a batch");
    assert!(is_open());
    drop(some);
    for _ in 0..1000 {
        if !is_open() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!is_open(), "its readers go on");

    let begun = stream();
    fs::remove_file(&paths[5]).expect("removed");
    let ended: Result<Vec<_>, _> = begun.try_collect().await;
    assert!(matches!(ended, Err(Error::Vanished(path)) if path == paths[5]));
}

#[test]
fn bloom_filters_tell_which_row_groups_need_not_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    // without order: bounds say nothing
    let id = |row: i64| (row * 37) % ROWS * 1_000_003;
    let name = |row: i64| format!("object {}", id(row));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("target_id", Arc::new(Int64Array::from_iter_values((0..ROWS).map(id)))),
        ("number", Arc::new(UInt32Array::from_iter_values((0..ROWS).map(|r| u32::MAX - r as u32)))),
        ("name", Arc::new(StringArray::from_iter_values((0..ROWS).map(name)))),
        ("z", Arc::new(Float64Array::from_iter_values((0..ROWS).map(|row| row as f64)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(GROUP_ROWS as usize))
        .set_bloom_filter_enabled(true)
        .set_bloom_filter_max_ndv(GROUP_ROWS as u64)
        .build();
    let file = File::create(&path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("begun");
    writer.write(&batch).expect("written");
    let metadata = writer.close().expect("closed");
    let found = |text: &str| {
        let found = rows(&resolved(&[&path]), &query(text), &Options::default());
        found.map(|found| found["z"].as_primitive::<Float64Type>().values().to_vec())
    };
    let questions = [
        (format!("target_id = {}", id(45)), 45.0),
        (format!("name = '{}'", name(45)), 45.0),
        (format!("z > 3 AND name IN ('none', '{}')", name(45)), 45.0),
        (format!("number = {}", u32::MAX - 45), 45.0),
    ];
    for (question, row) in &questions {
        assert_eq!(found(question).expect("rows"), [*row], "{question}");
    }
    assert!(found("name = 'none'").expect("none").is_empty());
    assert_eq!(found("name <> 'none'").expect("rows").len() as i64, ROWS);

    // what is read although its row group has not the value is now damaged
    let mut bytes = fs::read(&path).expect("bytes");
    for group in metadata.row_groups().iter().filter(|group| group.ordinal() != Some(2)) {
        for column in group.columns() {
            let (start, length) = column.byte_range();
            bytes[start as usize..(start + length) as usize].fill(0xa5);
        }
    }
    fs::write(&path, &bytes).expect("damaged");
    for (question, row) in &questions {
        assert_eq!(found(question).expect("rows of one group"), [*row], "{question}");
    }
    assert!(matches!(found("name <> 'none'"), Err(Error::Damaged { .. })));

    // nor is a filter believed that is none
    for column in metadata.row_groups()[2].columns() {
        let start = column.bloom_filter_offset().expect("a filter") as usize;
        bytes[start..start + 4].fill(0xff);
    }
    fs::write(&path, &bytes).expect("damaged");
    let all: Vec<_> = (0..4).map(|at| found(&questions[at].0)).collect();
    assert!(all.iter().all(|found| found.as_ref().is_ok_and(|rows| rows == &[45.0])), "{all:?}");
}
