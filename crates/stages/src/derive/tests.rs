use super::run::{Publisher, Renaming, Report, Settings, run};
use super::{Job, plan};
use crate::stage::{About, FromProduct, Source, column};
use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::error::ArrowError;
use bifrost_core::layout::Lake;
use bifrost_core::outcome::Outcome;
use bifrost_core::publish;
use bifrost_core::registry::stages::StageAttempt;
use bifrost_core::sync::{Derived, Landed};
use bifrost_core::tile::{Name, Tile};
use bifrost_core::{guard::keep_quiet, metadata, order, quarantine};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

type Batch = fn(&RecordBatch) -> Result<Vec<ArrayRef>, ArrowError>;

/// A stage that can be told what to do.
struct Told(u32, Batch);

impl FromProduct for Told {
    fn about(&self) -> About {
        let from = Source::Product("spectra", &["z", "target_id"]);
        let columns = vec![column("twice", DataType::Float64, "", "src.redshift", "2 z")];
        About { name: "twice", version: self.0, from, product: "doubles", columns }
    }

    fn batch(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
        self.1(rows)
    }
}

fn twice(rows: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
    let z = rows.column(0).as_primitive::<Float64Type>();
    Ok(vec![Arc::new(z.unary::<_, Float64Type>(|z| 2.0 * z))])
}

struct Bench {
    _folder: tempfile::TempDir,
    lake: Lake,
}

fn tile(pixel: u32) -> Tile {
    format!("iron-main-dark-{pixel}").parse().expect("a tile")
}

fn settings() -> Settings {
    Settings { jobs: 2, tries: 2, pause: Duration::ZERO, verify: false, force: false }
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let lake = Lake::open_or_create(&folder.path().join("lake"), "here").expect("a lake");
        Self { _folder: folder, lake }
    }

    fn folder(&self, product: &str, pixel: u32) -> PathBuf {
        let product = Name::new(product).expect("a name");
        self.lake.pixel_dir(&product, tile(pixel).pixel)
    }

    /// A file of `spectra` with these TARGETIDs, which states its order, or does not.
    fn put(&self, pixel: u32, ids: &[i64], states: bool) -> PathBuf {
        let folder = self.folder("spectra", pixel);
        fs::create_dir_all(&folder).expect("made");
        let path = folder.join(format!("{}_{}.parquet", tile(pixel), ids.len()));
        let batch = RecordBatch::try_from_iter::<_, &str>([
            ("program", Arc::new(StringArray::from(vec!["dark"; ids.len()])) as ArrayRef),
            ("target_id", Arc::new(Int64Array::from(ids.to_vec()))),
            ("z", Arc::new(ids.iter().map(|id| Some(*id as f64)).collect::<Float64Array>())),
        ]);
        let batch = batch.expect("a batch");
        let says = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
        let about = vec![
            says(metadata::ORDER, order::hash_of(&tile(pixel), ids)),
            says(
                metadata::CONTENT,
                format!("blake3:{}:9", blake3::hash(format!("{ids:?}").as_bytes())),
            ),
        ];
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(1000))
            .set_key_value_metadata(states.then_some(about))
            .build();
        let file = File::create(&path).expect("a file");
        let mut writer =
            ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("closed");
        path
    }

    fn jobs(&self) -> Vec<Job> {
        plan::tiles(&self.lake, &Name::new("spectra").expect("a name"))
    }

    fn run(&self, stage: &Told) -> Report {
        let publisher = &mut Renaming(&self.lake);
        run(&self.lake, stage, &self.jobs(), &settings(), publisher, &|| false, &|_| {})
            .expect("run")
    }

    /// The only file of a tile: its batch and its path.
    fn made(&self, pixel: u32) -> (RecordBatch, PathBuf) {
        let entries = fs::read_dir(self.folder("doubles", pixel)).expect("a folder");
        let paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        let [path] = &paths[..] else { panic!("{paths:?}") };
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("a file"));
        let reader = builder.expect("Parquet").with_batch_size(1 << 20).build();
        let batches: Vec<_> = reader.expect("a reader").map(|b| b.expect("a batch")).collect();
        let schema = batches[0].schema();
        (arrow::compute::concat_batches(&schema, &batches).expect("one batch"), path.clone())
    }
}

fn outcomes(report: &Report) -> Vec<Option<Outcome>> {
    report.tiles.iter().map(|ending| ending.outcome).collect()
}

#[test]
fn rows_keep_their_order_and_keys_across_batches_and_row_groups() {
    let bench = Bench::new();
    let ids: Vec<i64> = (0..20_000).map(|i| (i * 7919) % 20_011).collect();
    bench.put(5, &ids, true);
    let report = bench.run(&Told(1, twice));
    assert_eq!(outcomes(&report), [Some(Outcome::Converted)]);
    let (made, path) = bench.made(5);
    let names: Vec<_> = made.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["program", "target_id", "twice"]);
    assert_eq!(made.column(1).as_primitive::<Int64Type>().values(), &ids[..]);
    let expected: Vec<f64> = ids.iter().map(|id| 2.0 * *id as f64).collect();
    assert_eq!(made.column(2).as_primitive::<Float64Type>().values(), &expected[..]);
    assert!(path.ends_with("iron-main-dark-5_20000.parquet"));
}

#[test]
fn the_checksum_covers_all_rows() {
    let bench = Bench::new();
    let ids: Vec<i64> = (0..1000).collect();
    bench.put(5, &ids, true);
    bench.run(&Told(1, twice));
    let (_, path) = bench.made(5);
    let bytes = fs::read(&path).expect("read");
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).expect("a file"));
    let parquet = builder.expect("Parquet").metadata().clone();
    let keys = parquet.file_metadata().key_value_metadata().expect("keys");
    let stated = keys.iter().find(|pair| pair.key == metadata::CONTENT).expect("a checksum");
    let stated: metadata::Content =
        stated.value.as_deref().and_then(|text| text.parse().ok()).expect("understood");
    let chunks = parquet.row_groups().iter().flat_map(|group| group.columns());
    let end = chunks.map(|chunk| chunk.byte_range()).map(|(start, length)| start + length).max();
    assert!(Some(stated.length) >= end, "{stated} of rows up to {end:?}");
    let covered = &bytes[..stated.length as usize];
    assert_eq!(stated.blake3, *blake3::hash(covered).as_bytes());
}

#[test]
fn only_what_is_stale_is_made_again() {
    let bench = Bench::new();
    bench.put(1, &[3, 1, 2], true);
    bench.put(2, &[4, 5], false);
    bench.put(3, &[], true);
    let made = Some(Outcome::Converted);
    let same = Some(Outcome::Unchanged);
    assert_eq!(outcomes(&bench.run(&Told(1, twice))), [made, made, Some(Outcome::Empty)]);
    assert_eq!(outcomes(&bench.run(&Told(1, twice))), [same, same, same]);
    // another version
    assert_eq!(outcomes(&bench.run(&Told(2, twice))), [made, made, Some(Outcome::Empty)]);
    // the same rows in another order; a file that states nothing, written again
    bench.put(1, &[1, 2, 3], true);
    bench.put(2, &[4, 5], false);
    assert_eq!(outcomes(&bench.run(&Told(2, twice))), [made, made, same]);
    let (rows, _) = bench.made(1);
    assert_eq!(rows.column(1).as_primitive::<Int64Type>().values(), &[1, 2, 3]);
    // what another program put in its place
    let (_, path) = bench.made(2);
    fs::copy(bench.folder("spectra", 2).join("iron-main-dark-2_2.parquet"), &path).expect("copied");
    assert_eq!(outcomes(&bench.run(&Told(2, twice))), [same, made, same]);
}

#[test]
fn whatever_is_wrong_with_one_tile_is_that_tiles() {
    keep_quiet();
    let bench = Bench::new();
    (1..=6).for_each(|pixel| drop(bench.put(pixel, &[i64::from(pixel), 9], true)));
    let odd = |rows: &RecordBatch| match rows.column(1).as_primitive::<Int64Type>().value(0) {
        1 => panic!("what a strange spectrum"),
        2 => Err(ArrowError::ComputeError("no redshift".into())),
        3 => twice(&rows.slice(0, 1)),
        4 => Ok(Vec::new()),
        _ => twice(rows),
    };
    let broken = bench.put(6, &[6, 9], true);
    let bytes = fs::read(&broken).expect("read");
    fs::write(&broken, &bytes[..bytes.len() / 2]).expect("cut short");
    let report = bench.run(&Told(1, odd));
    let internal = Some(Outcome::Internal);
    let expected =
        [internal, internal, internal, internal, Some(Outcome::Converted), Some(Outcome::Corrupt)];
    assert_eq!(outcomes(&report), expected);
    assert!(report.tiles[0].reasons[0].contains("what a strange spectrum"));
    assert!(report.tiles[1].reasons[0].contains("no redshift"));
    let aside = || {
        let records = quarantine::list(&bench.lake).expect("listed");
        let named = |r: &quarantine::Record| (r.product.to_string(), r.tile.clone());
        records.iter().map(named).collect::<Vec<_>>()
    };
    let expected = [1, 2, 3, 4, 6].map(|pixel| ("doubles".to_owned(), Some(tile(pixel))));
    assert_eq!(aside(), expected);
    bench.put(6, &[6, 9], true);
    assert_eq!(bench.run(&Told(1, twice)).left, 0);
    assert_eq!(aside(), []);
}

#[test]
fn an_input_whose_rows_are_not_in_its_stated_order_is_refused() {
    let bench = Bench::new();
    let path = bench.put(1, &[1, 2], true);
    let other = bench.put(2, &[2, 1], true);
    fs::rename(other, path).expect("renamed");
    assert_eq!(outcomes(&bench.run(&Told(1, twice))), [Some(Outcome::Corrupt)]);
    assert!(!bench.folder("doubles", 1).exists());
}

/// Replaces inputs before it publishes.
struct Meddling<'a>(&'a Bench);

impl Publisher for Meddling<'_> {
    type Error = publish::Error;

    fn publish(&mut self, made: &[Derived]) -> Result<Vec<Landed>, publish::Error> {
        for made in made {
            let path: &Path = &self.0.lake.root().join(&made.input);
            fs::write(path, "another file").expect("replaced");
        }
        Renaming(&self.0.lake).publish(made)
    }

    fn note(&mut self, attempts: &[StageAttempt]) -> Result<(), publish::Error> {
        assert!(attempts.is_empty());
        Ok(())
    }
}

#[test]
fn nothing_is_published_of_an_input_that_was_replaced_meanwhile() {
    let bench = Bench::new();
    bench.put(1, &[1, 2], true);
    let stage = Told(1, twice);
    let publisher = &mut Meddling(&bench);
    let report =
        run(&bench.lake, &stage, &bench.jobs(), &settings(), publisher, &|| false, &|_| {})
            .expect("run");
    assert_eq!((outcomes(&report), report.left), (vec![None], 1));
    assert!(!bench.folder("doubles", 1).exists());
    assert_eq!(quarantine::list(&bench.lake).expect("listed"), []);
}

#[test]
fn a_disk_that_refuses_is_tried_again_and_a_run_that_is_to_stop_begins_nothing() {
    let bench = Bench::new();
    bench.put(1, &[1, 2], true);
    let (stage, jobs) = (Told(1, twice), bench.jobs());
    let publisher = &mut Renaming(&bench.lake);
    let stopped =
        run(&bench.lake, &stage, &jobs, &settings(), publisher, &|| true, &|_| {}).expect("run");
    assert_eq!((stopped.left, stopped.tiles.len()), (1, 0));
    let claim = bench.lake.private("claims").join(format!("doubles-{}", tile(1)));
    let in_the_way = || fs::create_dir_all(&claim).is_err();
    let refused = run(&bench.lake, &stage, &jobs, &settings(), publisher, &in_the_way, &|_| {});
    let refused = refused.expect("run");
    assert_eq!((outcomes(&refused), refused.tiles[0].tries), (vec![Some(Outcome::Disk)], 2));
}
