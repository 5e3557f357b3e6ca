//! `bifrost sync`: nothing is missed, nothing is done twice, nothing is half visible.

use crate::support::{Place, trials};
use arrow::array::{
    ArrayRef, Float32Array, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray,
};
use arrow::datatypes::Int32Type;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A repeatable source of choices.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % sides
    }
}

/// Rows of a tile: few objects, so that they are shared.
pub fn rows(dice: &mut Dice, count: usize) -> RecordBatch {
    let mut each = |sides| -> Vec<i64> { (0..count).map(|_| dice.roll(sides) as i64).collect() };
    let ids = each(40).into_iter().map(|n| if n == 0 { -7 } else { 39_627_000_000_000_000 + n });
    let ids = Int64Array::from_iter_values(ids);
    let zwarn = Int64Array::from_iter_values(each(3).into_iter().map(|n| n * 4));
    let signal = each(5).into_iter().map(|n| (n > 0).then_some(n as f32 * 10.0));
    let z = Float64Array::from_iter_values(each(400).into_iter().map(|n| n as f64 / 100.0));
    let classes = each(3).into_iter().map(|n| ["GALAXY", "QSO", "STAR"][n as usize]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("_healpix_29", Arc::new(Int64Array::from_iter_values(0..count as i64))),
        ("target_id", Arc::new(ids)),
        ("ra", Arc::new(Float64Array::from(vec![45.0; count]))),
        ("dec", Arc::new(Float64Array::from(vec![3.0; count]))),
        ("z", Arc::new(z)),
        ("zwarn", Arc::new(zwarn)),
        ("spectype", Arc::new(StringArray::from_iter_values(classes))),
        ("tsnr2_lrg", Arc::new(Float32Array::from_iter(signal))),
        ("coadd_fiberstatus", Arc::new(Int32Array::from(vec![0; count]))),
    ];
    RecordBatch::try_from_iter(columns).expect("a batch")
}

/// Where a tile's file lies in a lake.
pub fn tile(lake: &Path, pixel: u32, rows: usize) -> PathBuf {
    let folder = format!("spectra/dataset/Norder=6/Dir={}/Npix={pixel}", pixel / 10_000 * 10_000);
    lake.join(folder).join(format!("iron-main-dark-{pixel}_{rows}.parquet"))
}

fn write_with(path: &Path, batch: &RecordBatch, properties: WriterProperties) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    let draft = path.with_extension("draft");
    let file = File::create(&draft).expect("created");
    let mut writer =
        ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
    fs::rename(&draft, path).expect("renamed");
}

pub fn write(path: &Path, batch: &RecordBatch) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(16));
    write_with(path, batch, properties.build());
}

/// A lake of so many tiles.
fn lake_of(tiles: u32) -> Place {
    let place = Place::new();
    fs::create_dir(place.lake()).expect("made");
    let mut dice = Dice(1);
    for pixel in 0..tiles {
        let count = 10 + dice.roll(40) as usize;
        write(&tile(&place.lake(), pixel, count), &rows(&mut dice, count));
    }
    place
}

fn sync(place: &Place) -> Value {
    place.json(["sync", "--no-datasheet"])
}

/// Everything in the registry but the time of day, to the version of each row.
fn state(place: &Place) -> String {
    let tables = ["lakes", "commits", "file_schemas", "file_makings", "file_registry"];
    let more = [
        "file_bounds",
        "file_classes",
        "file_facts",
        "tile_outcomes",
        "catalog_labels",
        "catalog_rows",
    ];
    let digest = |table: &&str| {
        let query =
            format!("SELECT md5(string_agg(t::text || xmin, ',' ORDER BY ctid)) FROM {table} t");
        format!("{table} {}", place.sql(&query))
    };
    tables.iter().chain(&more).map(digest).collect::<Vec<_>>().join("\n")
}

/// The registry holds exactly what the lake does: files, bounds, catalog, facts, primary rows.
#[track_caller]
fn assert_whole(place: &Place) {
    let mut expected: Vec<String> = Vec::new();
    let mut folders = vec![place.lake()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with(".bifrost") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "parquet") {
                let size = path.metadata().expect("metadata").len();
                let relative = path.strip_prefix(place.lake()).expect("in the lake");
                expected.push(format!("{}|{size}", relative.display()));
            }
        }
    }
    expected.sort();
    let current = "SELECT path, size_bytes FROM file_registry WHERE state = 'live' ORDER BY path";
    assert_eq!(place.sql(current), expected.join("\n"));
    let unsound = [
        "SELECT 'rows', f.path FROM file_registry f LEFT JOIN catalog c USING (file_id)
         WHERE f.state = 'live' GROUP BY f.file_id HAVING count(c.*) <> f.num_rows",
        "SELECT 'stray row', c.file_id FROM catalog c LEFT JOIN file_registry f
           ON f.file_id = c.file_id AND f.state = 'live' WHERE f IS NULL",
        "SELECT 'stray bounds', b.file_id FROM file_bounds b LEFT JOIN file_registry f
           ON f.file_id = b.file_id AND f.state = 'live' WHERE f IS NULL",
        "SELECT 'bounds', f.path FROM file_registry f LEFT JOIN file_bounds b USING (file_id)
         WHERE f.state = 'live' AND b IS NULL",
        "SELECT 'row groups', path FROM files f LEFT JOIN row_groups g USING (path)
         GROUP BY path, f.num_rows, f.num_row_groups
         HAVING count(g.row_group) <> f.num_row_groups
             OR coalesce(sum(g.num_rows), 0) <> f.num_rows",
        "SELECT 'facts', f.path FROM file_registry f LEFT JOIN file_facts t USING (file_id)
         WHERE f.state = 'live' AND t.num_rows IS DISTINCT FROM f.num_rows",
        "SELECT 'classes', f.path FROM file_registry f LEFT JOIN file_classes k USING (file_id)
         WHERE f.state = 'live' GROUP BY f.file_id
         HAVING coalesce(sum(k.num_rows), 0) <> f.num_rows",
        "SELECT 'primary', file_id, row_index FROM (
           SELECT *, row_number() OVER (PARTITION BY target_id ORDER BY (zwarn = 0) DESC,
             coalesce(tsnr2_lrg, -1) DESC, healpix, file_id, row_index) = 1 AS best FROM catalog) c
         WHERE best <> is_primary",
        "SELECT 'bound', f.path, c.z FROM catalog c JOIN file_registry f USING (file_id)
         WHERE c.z NOT BETWEEN f.z_min AND f.z_max OR c.target_id NOT BETWEEN f.target_id_min
           AND f.target_id_max OR c.spectype NOT BETWEEN f.spectype_min AND f.spectype_max",
    ];
    for query in unsound {
        assert_eq!(place.sql(query), "", "{query}");
    }
}

#[test]
fn a_second_sync_opens_nothing_and_writes_nothing() {
    let place = lake_of(12);
    let first = sync(&place);
    assert_eq!((&first["files_added"], &first["files_opened"]), (&12.into(), &12.into()));
    assert!(first["commit"].is_i64(), "{first}");
    assert_whole(&place);
    let (before, seen) = (state(&place), place.sql("SELECT last_seen_at FROM nodes"));
    let second = sync(&place);
    assert_eq!((&second["commit"], &second["files_opened"]), (&Value::Null, &0.into()));
    assert_eq!(state(&place), before);
    assert_ne!(place.sql("SELECT last_seen_at FROM nodes"), seen);
}

#[test]
fn changed_vanished_and_returned_files_are_noticed() {
    let place = lake_of(6);
    sync(&place);
    let mut dice = Dice(5);
    let files = place.sql("SELECT path FROM file_registry ORDER BY healpix");
    let files: Vec<PathBuf> = files.lines().map(|path| place.lake().join(path)).collect();
    // changed in place, the size as before: the time tells
    let bytes = fs::read(&files[0]).expect("read");
    fs::remove_file(&files[0]).expect("removed");
    fs::write(&files[0], bytes).expect("written");
    write(&files[1], &rows(&mut dice, 17));
    let away = place.path("away.parquet");
    fs::rename(&files[2], &away).expect("moved");
    // made again with another number of rows
    fs::remove_file(&files[3]).expect("removed");
    write(&tile(&place.lake(), 3, 5), &rows(&mut dice, 5));
    let report = sync(&place);
    let count = |name: &str| report[name].as_i64().expect("a count");
    assert_eq!((count("files_changed"), count("files_added")), (2, 1));
    assert_eq!((count("files_missing"), count("files_replaced")), (1, 1));
    assert_whole(&place);
    let missing = "SELECT path FROM file_registry WHERE state = 'missing'";
    assert!(files[2].ends_with(place.sql(missing)));
    fs::create_dir_all(files[2].parent().expect("a folder")).expect("made");
    fs::rename(&away, &files[2]).expect("moved back");
    assert_eq!(sync(&place)["files_added"], 1);
    assert_eq!(place.sql(missing), "", "what came back is not missing");
    assert_whole(&place);
    let commits = "SELECT files_added, files_changed, files_missing, files_replaced FROM commits ORDER BY commit_id";
    assert_eq!(place.sql(commits), "6|0|0|0\n1|2|1|1\n1|0|0|0");
}

#[test]
fn what_is_wrong_with_one_file_is_its_own_problem() {
    let place = lake_of(2);
    let mut dice = Dice(2);
    let batch = rows(&mut dice, 300);
    let bad = |pixel| tile(&place.lake(), pixel, 300);
    let damage = |pixel, harm: &dyn Fn(&mut Vec<u8>)| {
        write(&bad(pixel), &batch);
        let mut bytes = fs::read(bad(pixel)).expect("read");
        harm(&mut bytes);
        fs::write(bad(pixel), bytes).expect("written");
    };
    damage(100, &|bytes| bytes.truncate(bytes.len() / 2));
    damage(101, &|bytes| bytes.clear());
    damage(102, &|bytes| *bytes = b"SIMPLE  =                    T / FITS".to_vec());
    damage(103, &|bytes| {
        let end = bytes.len() - 1;
        bytes[end] = b'E';
    });
    // a good footer over pages that are nonsense
    damage(104, &|bytes| bytes[4..2000].fill(0xee));
    damage(105, &|bytes| {
        let end = bytes.len() - 8;
        let length = u32::from_le_bytes(bytes[end..end + 4].try_into().expect("four bytes"));
        bytes[end - length as usize..][..50].fill(0xff);
    });
    let report = place.bifrost(["sync", "--no-datasheet", "--json"]).expect(3).json();
    assert_eq!(report["files_quarantined"], 6, "{report}");
    assert_eq!(report["quarantined"].as_array().map(Vec::len), Some(6));
    let reasons =
        "SELECT healpix, reason FROM file_registry WHERE state = 'quarantined' ORDER BY path";
    let reasons = place.sql(reasons);
    for word in ["cut short", "empty", "not Parquet", "encrypted", "unreadable rows", "damaged"] {
        assert!(reasons.contains(word), "{word} in {reasons}");
    }
    assert_eq!(place.sql("SELECT count(*) FROM file_registry WHERE state = 'live'"), "2");
    // nothing new was set aside
    let again = sync(&place);
    assert_eq!((&again["files_opened"], &again["commit"]), (&0.into(), &Value::Null));
    for pixel in 100..106 {
        fs::remove_file(bad(pixel)).expect("removed");
    }
    let cleaned = sync(&place);
    assert_eq!(cleaned["files_missing"], 0, "nobody misses what could not be read: {cleaned}");
    assert_whole(&place);
}

#[test]
fn foreign_files_are_registered_as_far_as_they_go() {
    let place = Place::new();
    let mut dice = Dice(3);
    let batch = rows(&mut dice, 40);
    let nested =
        ListArray::from_iter_primitive::<Int32Type, _, _>((0..40).map(|i| Some([Some(i)])));
    let id = batch.column_by_name("target_id").expect("a column").clone();
    let nested =
        RecordBatch::try_from_iter([("TARGETID", id), ("a", Arc::new(nested) as ArrayRef)]);
    let none = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None);
    let file = |name: &str| place.lake().join(name);
    write_with(&file("foreign/plain.parquet"), &batch, none.build());
    write(&file("foreign/deep/nested.parquet"), &nested.expect("a batch"));
    write(&file("foreign/none.parquet"), &batch.slice(0, 0));
    write(&file("spectra/loose.parquet"), &batch);
    write(&file("spectra/without.parquet"), &batch.project(&[4, 6]).expect("a batch"));
    let report = sync(&place);
    assert_eq!((&report["files_added"], &report["catalog_added"]), (&5.into(), &40.into()));
    let query = "SELECT path, num_rows, z_min IS NULL, target_id_min IS NULL, in_catalog
                 FROM file_registry ORDER BY path";
    assert_eq!(
        place.sql(query),
        "foreign/deep/nested.parquet|40|t|f|f\n\
         foreign/none.parquet|0|t|t|f\n\
         foreign/plain.parquet|40|t|t|f\n\
         spectra/loose.parquet|40|f|f|t\n\
         spectra/without.parquet|40|f|t|t"
    );
    assert_eq!(
        place.sql("SELECT count(*) FROM catalog WHERE is_primary"),
        place.sql("SELECT count(DISTINCT target_id) FROM catalog")
    );
    // a file of which no object is known counts all the same
    assert_eq!(place.sql("SELECT sum(num_rows) FROM file_classes"), "80");
}

#[test]
fn rows_of_several_tiles_in_one_file_keep_their_own() {
    let place = lake_of(1);
    let mut dice = Dice(3);
    let plain = rows(&mut dice, 50);
    let mut columns: Vec<(String, ArrayRef)> = plain
        .schema()
        .fields()
        .iter()
        .zip(plain.columns())
        .map(|(field, column)| (field.name().clone(), column.clone()))
        .collect();
    let programs = (0..50).map(|n| ["dark", "bright", "backup"][n % 3]);
    columns.push(("program".to_owned(), Arc::new(StringArray::from_iter_values(programs))));
    columns.push(("healpix".to_owned(), Arc::new(Int32Array::from_iter_values(0..50))));
    let several = RecordBatch::try_from_iter(columns).expect("a batch");
    write(&tile(&place.lake(), 7, 50), &several);
    sync(&place);
    let of_rows = "SELECT count(*), count(DISTINCT healpix) FROM catalog
                   WHERE release = 'iron' AND program = (ARRAY['dark', 'bright', 'backup'])[row_index % 3 + 1]
                     AND healpix = row_index AND file_id = (SELECT max(file_id) FROM catalog)";
    assert_eq!(place.sql(of_rows), "50|50");
    // nothing is asked of labels or files, so that they are left alone
    let plan = place.sql("EXPLAIN SELECT count(*) FROM catalog WHERE z > 1");
    assert!(plan.contains("catalog_rows") && !plan.contains("label"), "{plan}");
}

#[test]
fn a_partition_is_trusted_as_far_as_its_positions_tell() {
    let place = lake_of(1);
    let batch = rows(&mut Dice(5), 20);
    let without = |dropped: &[&str]| {
        let kept = batch
            .schema()
            .fields()
            .iter()
            .zip(batch.columns())
            .filter(|(field, _)| !dropped.contains(&field.name().as_str()))
            .map(|(field, column)| (field.name().clone(), column.clone()))
            .collect::<Vec<_>>();
        RecordBatch::try_from_iter(kept).expect("a batch")
    };
    // all positions lie far from where the folder says
    write(&tile(&place.lake(), 30_000, 20), &without(&["_healpix_29"]));
    write(&tile(&place.lake(), 30_001, 20), &without(&["_healpix_29", "ra", "dec"]));
    let unbounded =
        WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None).build();
    write_with(&tile(&place.lake(), 30_002, 20), &without(&["_healpix_29"]), unbounded);
    sync(&place);
    let reach = "SELECT string_agg(healpix::text, ' ' ORDER BY healpix) FROM file_registry
                 WHERE sky @> (SELECT max(healpix_29) FROM catalog WHERE ra IS NOT NULL) OR sky IS NULL";
    assert_eq!(place.sql(reach), "30000 30002");
    let found = place.json(["resolve", "--cone", "45,3,0.01", "ra > 0"]);
    let pixels = found["files"].as_array().map(|files| files.len());
    assert_eq!(pixels, Some(2), "{found}");
}

#[test]
fn two_live_files_of_one_tile_are_named() {
    let place = lake_of(3);
    let mut dice = Dice(4);
    let twin = tile(&place.lake(), 1, 99);
    write(&twin, &rows(&mut dice, 20));
    let report = sync(&place);
    let faults = report["faults"].as_array().expect("faults").clone();
    assert_eq!(faults.len(), 2, "{report}");
    assert!(
        faults.iter().all(|f| f["fault"].as_str().is_some_and(|f| f.contains("iron-main-dark-1")))
    );
    assert_eq!(sync(&place)["faults"].as_array().map(Vec::len), Some(2), "as long as it lasts");
    fs::remove_file(&twin).expect("removed");
    let mended = sync(&place);
    assert_eq!(mended["faults"].as_array().map(Vec::len), Some(0));
    assert_eq!((&mended["files_missing"], &mended["files_replaced"]), (&0.into(), &1.into()));
    assert_whole(&place);
}

#[test]
fn lakes_share_a_registry_and_leave_each_other_alone() {
    let place = lake_of(4);
    sync(&place);
    let other = place.path("other");
    fs::create_dir(&other).expect("made");
    let mut dice = Dice(6);
    for pixel in 2..6 {
        write(&tile(&other, pixel, 30), &rows(&mut dice, 30));
    }
    let url = place.database_url();
    let elsewhere = |place: &Place| {
        let mut command = place.command(["sync", "--no-datasheet", "--json", "--node", "beta"]);
        let out = command.env("BIFROST_LAKE", &other).env("BIFROST_DATABASE_URL", &url).output();
        serde_json::from_slice::<Value>(&out.expect("it runs").stdout).expect("JSON")
    };
    let report = elsewhere(&place);
    assert_eq!(report["files_added"], 4, "{report}");
    assert_eq!(report["faults"].as_array().map(Vec::len), Some(2), "tiles 2 and 3 are on both");
    assert_eq!(
        place
            .sql("SELECT node, count(*) FROM file_registry GROUP BY 1 ORDER BY 2, 1")
            .lines()
            .count(),
        2
    );
    assert_eq!(sync(&place)["commit"], Value::Null);
    let primaries =
        "SELECT count(*) FILTER (WHERE is_primary) = count(DISTINCT target_id) FROM catalog";
    assert_eq!(place.sql(primaries), "t");
    fs::remove_dir_all(other.join("spectra")).expect("removed");
    assert_eq!(elsewhere(&place)["files_missing"], 2, "two tiles live on in the other lake");
    assert_whole(&place);
}

#[test]
fn syncs_at_once_make_one_commit() {
    let place = lake_of(30);
    place.bifrost(["db", "up"]).expect(0);
    place.bifrost(["db", "migrate"]).expect(0);
    let children: Vec<_> = (0..4).map(|_| place.start(["sync", "--no-datasheet"])).collect();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    assert_eq!(place.sql("SELECT commit_id, files_added FROM commits"), "1|30");
    assert_whole(&place);
}

#[test]
fn the_catalog_can_come_later_and_go_again() {
    let place = lake_of(5);
    let first = place.json(["sync", "--no-datasheet", "--no-catalog"]);
    assert_eq!((&first["catalog_added"], &first["files_added"]), (&0.into(), &5.into()));
    assert_eq!(place.json(["sync", "--no-datasheet", "--no-catalog"])["commit"], Value::Null);
    let filled = sync(&place);
    assert_eq!(filled["catalog_added"], first["rows_added"]);
    assert_whole(&place);
    assert_eq!(sync(&place)["commit"], Value::Null);
    let emptied = place.json(["sync", "--no-datasheet", "--catalog", "nothing"]);
    assert_eq!(emptied["catalog_removed"], first["rows_added"]);
    assert_eq!(
        place.sql("SELECT (SELECT count(*) FROM catalog) + (SELECT count(*) FROM file_facts)"),
        "0"
    );
}

#[test]
fn a_bulk_load_leaves_the_catalog_as_it_was_made() {
    let place = lake_of(2);
    place.bifrost(["db", "up"]).expect(0);
    place.bifrost(["db", "migrate"]).expect(0);
    let indexes = "SELECT indexdef FROM pg_indexes WHERE tablename = 'catalog_rows' ORDER BY 1";
    let before = place.sql(indexes);
    assert!(before.lines().count() >= 2, "{before}");
    let mut dice = Dice(12);
    // so many rows come in several pieces, and hold the same objects
    for (pixel, count) in [(50, 70_000), (52, 50_000)] {
        let large = WriterProperties::default();
        write_with(&tile(&place.lake(), pixel, count), &rows(&mut dice, count), large);
    }
    // a class that cannot be read is found out when other rows are on their way
    let torn = tile(&place.lake(), 51, 200);
    write(&torn, &rows(&mut dice, 200));
    let reader = SerializedFileReader::new(File::open(&torn).expect("opened")).expect("a reader");
    let class = reader.metadata().row_group(3).column(6);
    assert_eq!(class.column_path().string(), "spectype");
    let (start, length) = class.byte_range();
    let mut bytes = fs::read(&torn).expect("read");
    bytes[start as usize..][..length as usize].fill(0xee);
    fs::write(&torn, bytes).expect("written");
    let report = place.bifrost(["sync", "--no-datasheet", "--json"]).expect(3).json();
    assert_eq!(report["files_quarantined"], 1, "{report}");
    assert_eq!(place.sql(indexes), before);
    fs::remove_file(torn).expect("removed");
    sync(&place);
    assert_whole(&place);
}

#[test]
fn a_dry_run_changes_nothing() {
    let place = lake_of(3);
    place.bifrost(["db", "up"]).expect(0);
    place.bifrost(["db", "migrate"]).expect(0);
    let report = place.json(["sync", "--dry-run"]);
    assert_eq!((&report["files_added"], &report["files_opened"]), (&3.into(), &0.into()));
    assert_eq!(
        place.sql("SELECT (SELECT count(*) FROM nodes) + (SELECT count(*) FROM file_registry)"),
        "0"
    );
    place.bifrost(["sync", "--lake", "no/such/folder"]).expect(2);
}

#[test]
fn tiles_that_could_not_be_made_are_carried_over() {
    let place = lake_of(1);
    sync(&place);
    let quarantine = place.lake().join(".bifrost/quarantine");
    fs::create_dir_all(&quarantine).expect("made");
    let record = r#"{"tile":{"release":"iron","survey":"main","program":"dark","pixel":7},
        "outcome":"corrupt","reasons":["B_FLUX is missing"],"advice":"download it again",
        "sources":[],"at":"2026-01-02T03:04:05.123456789Z"}"#;
    let path = quarantine.join("iron-main-dark-7.json");
    fs::write(&path, record).expect("written");
    assert!(sync(&place)["commit"].is_i64());
    let outcomes = "SELECT tile, healpix, outcome, reasons[1], advice, at FROM tile_outcomes";
    let told = "iron-main-dark-7|7|corrupt|B_FLUX is missing|download it again|2026-01-02 03:04:05.123457+00";
    let found = place.sql(outcomes);
    assert!(found == told || found == told.replace("457+", "456+"), "{found}");
    assert_eq!(sync(&place)["commit"], Value::Null);
    fs::remove_file(path).expect("removed");
    assert!(sync(&place)["commit"].is_i64());
    assert_eq!(place.sql(outcomes), "");
}

/// Changes the lake at random: adds, rewrites and removes tiles.
fn stir(place: &Place, dice: &mut Dice) {
    for _ in 0..1 + dice.roll(6) {
        let pixel = dice.roll(12) as u32;
        let folder = tile(&place.lake(), pixel, 0).parent().map(Path::to_owned).expect("a folder");
        for old in fs::read_dir(folder).into_iter().flatten().flatten() {
            fs::remove_file(old.path()).expect("removed");
        }
        if dice.roll(4) > 0 {
            let count = 1 + dice.roll(40) as usize;
            write(&tile(&place.lake(), pixel, count), &rows(dice, count));
        }
    }
}

#[test]
fn primary_rows_stay_right_through_every_change() {
    let place = lake_of(8);
    let mut dice = Dice(8);
    for _ in 0..trials(8, 60) {
        stir(&place, &mut dice);
        sync(&place);
        assert_whole(&place);
    }
}

#[test]
fn killed_anywhere_it_comes_right() {
    let place = lake_of(40);
    place.bifrost(["db", "up"]).expect(0);
    place.bifrost(["db", "migrate"]).expect(0);
    let mut dice = Dice(9);
    let mut whole = 0;
    for _ in 0..trials(6, 100) {
        stir(&place, &mut dice);
        let commits = place.sql("SELECT count(*) FROM commits");
        let before = state(&place);
        let mut child = place.start(["sync", "--no-datasheet"]);
        std::thread::sleep(Duration::from_millis(dice.roll(160)));
        child.kill().expect("killed");
        child.wait().expect("it ends");
        // its connection may live on for a moment
        while place.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") != "0" {
            std::thread::sleep(Duration::from_millis(10));
        }
        if place.sql("SELECT count(*) FROM commits") == commits {
            assert_eq!(state(&place), before, "a sync that made no commit left something behind");
        } else {
            whole += 1;
            assert_whole(&place);
        }
        sync(&place);
        assert_whole(&place);
    }
    assert!(whole < trials(6, 100), "every sync ended before it was killed");
}
