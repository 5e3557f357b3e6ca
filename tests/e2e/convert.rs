//! `bifrost convert`: how every edge ends, alone and in pairs; what is made again and what is not;
//! what stays when the program is killed.

use crate::support::{BIFROST, Ended, Place, clean, leave_out, shared, trials};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float32Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Every edge and the outcome that it ends in.
const EDGES: [(&str, &str); 22] = [
    ("nodata_only", "empty"),
    ("no_qso", "converted"),
    ("all_qso", "converted"),
    ("no_good", "converted"),
    ("dead_b", "converted"),
    ("dead_r", "converted"),
    ("dead_z", "converted"),
    ("nan_flux", "converted"),
    ("missing_emline", "converted"),
    ("empty_emline", "converted"),
    ("headless_emline", "converted"),
    ("missing_rrdetails", "converted"),
    ("missing_redrock", "missing_source"),
    ("missing_arm", "corrupt"),
    ("shuffle_redrock", "converted"),
    ("shuffle_emline", "converted"),
    ("short_emline", "converted"),
    ("extra_redrock", "mismatch"),
    ("duplicate_id", "mismatch"),
    ("bad_sha256", "checksum_mismatch"),
    ("no_sha256", "converted"),
    ("truncated_coadd", "checksum_mismatch"),
];

/// Outcomes from mild to bad.
const SEVERITY: [&str; 6] =
    ["converted", "empty", "missing_source", "mismatch", "corrupt", "checksum_mismatch"];

fn worse<'a>(a: &'a str, b: &'a str) -> &'a str {
    let rank = |outcome| SEVERITY.iter().position(|s| *s == outcome);
    if rank(a) < rank(b) { b } else { a }
}

/// The outcome of an edge when the other is there too.
fn outcome_beside(edge: (&'static str, &'static str), other: &str) -> &'static str {
    match (edge.0, other) {
        // without a sum file there is nothing that a digest could fail
        ("bad_sha256", "no_sha256") => "converted",
        ("truncated_coadd", "no_sha256") => "corrupt",
        // a file that is not there has nothing extra
        ("extra_redrock", "missing_redrock") => "converted",
        _ => edge.1,
    }
}

fn mock(place: &Place, out: &str, pixel: usize, more: &[&str]) {
    let out = place.path(out);
    let pixel = pixel.to_string();
    let mut args = vec!["mock", "--out", out.to_str().expect("text"), "--pix", &pixel];
    args.extend(["--objects", "12", "--seed", "3", "--no-resolution", "--rrdetails", "small"]);
    args.extend(more);
    place.bifrost(args).expect(0);
}

fn convert(place: &Place, sources: &str, more: &[&str]) -> Ended {
    let sources = place.path(sources);
    let mut args = vec!["convert", sources.to_str().expect("text"), "--json"];
    args.extend(more);
    place.bifrost(args)
}

/// The endings of a run by pixel.
fn endings(ended: &Ended) -> BTreeMap<usize, Value> {
    let report = ended.json();
    assert_eq!(report["version"], 1);
    let tiles = report["tiles"].as_array().expect("tiles").clone();
    let pixel = |tile: &Value| tile["tile"]["pixel"].as_u64().expect("a pixel") as usize;
    tiles.into_iter().map(|tile| (pixel(&tile), tile)).collect()
}

/// The only ending of a run.
fn ending(ended: &Ended) -> Value {
    let endings = endings(ended);
    assert_eq!(endings.len(), 1);
    endings.into_values().next().expect("one")
}

fn outcome(ended: &Ended) -> String {
    ending(ended)["outcome"].as_str().expect("a word").to_owned()
}

/// Every Parquet file of a lake that readers can see.
/// The data files that a reader sees; what a HATS catalog says about them is left out.
fn visible(lake: &Path) -> Vec<PathBuf> {
    let mut folders = vec![lake.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true if !path.ends_with(".bifrost") => folders.push(path),
                false if path.parent().is_some_and(names_a_pixel) => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

fn names_a_pixel(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("Npix="))
}

fn read(path: &Path) -> RecordBatch {
    let file = File::open(path).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    let schema = reader.schema().clone();
    let batches: Vec<_> =
        reader.build().expect("readable").map(|batch| batch.expect("whole")).collect();
    concat_batches(&schema, &batches).expect("one schema")
}

/// The published rows of a run's only tile.
fn rows(ended: &Ended) -> RecordBatch {
    read(Path::new(ending(ended)["path"].as_str().expect("a path")))
}

/// Two files hold the same rows, whatever their footers say.
#[track_caller]
fn assert_same_rows(one: &RecordBatch, other: &RecordBatch) {
    assert_eq!(one.num_rows(), other.num_rows());
    let names = one.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    let differ: Vec<_> =
        names.iter().filter(|n| one.column_by_name(n) != other.column_by_name(n)).collect();
    assert!(differ.is_empty(), "columns differ: {differ:?}");
}

fn files_under(folder: &Path) -> usize {
    fs::read_dir(folder).map(|entries| entries.count()).unwrap_or(0)
}

#[test]
fn every_edge_ends_as_it_should() {
    let place = Place::private();
    for (i, (edge, _)) in EDGES.iter().enumerate() {
        mock(&place, "archive", i, &["--edge", edge]);
    }
    let ended = convert(&place, "archive", &[]).expect(3);
    let endings = endings(&ended);
    for (i, (edge, expected)) in EDGES.iter().enumerate() {
        let ending = &endings[&i];
        assert_eq!(ending["outcome"], *expected, "{edge}: {ending}");
        let is_published = ["converted", "empty"].contains(expected);
        assert_eq!(ending["path"].is_string(), is_published, "{edge}");
        assert_eq!(ending["reasons"] == Value::Array(vec![]), is_published, "{edge}");
        assert_eq!(ending["verified"], is_published && *edge != "no_sha256", "{edge}");
    }
    let published = endings.values().filter(|e| e["path"].is_string()).count();
    assert_eq!(visible(&place.lake()).len(), published);
    let quarantine = place.lake().join(".bifrost/quarantine");
    assert_eq!(files_under(&quarantine), EDGES.len() - published);

    // the same again: what was published stays, what was not is tried again
    let again = convert(&place, "archive", &[]).expect(3);
    let totals = again.json()["totals"].clone();
    assert_eq!(totals["unchanged"], published);
    // without verification a bad digest harms nothing, and damage shows itself
    let quick = convert(&place, "archive", &["--no-verify"]).expect(3);
    let endings = self::endings(&quick);
    let at = |edge: &str| EDGES.iter().position(|(e, _)| *e == edge).expect("an edge");
    assert_eq!(endings[&at("bad_sha256")]["outcome"], "converted");
    assert_eq!(endings[&at("truncated_coadd")]["outcome"], "corrupt");
    assert_eq!(endings[&at("no_qso")]["outcome"], "unchanged");
    assert_eq!(files_under(&quarantine), EDGES.len() - published - 1, "converted, so cleared");
}

#[test]
fn pairs_of_edges_end_as_the_worse() {
    let place = Place::private();
    let mut expected = BTreeMap::new();
    for (i, first) in EDGES.iter().enumerate() {
        for second in &EDGES[i + 1..] {
            let pixel = expected.len();
            let edges = [first.0, second.0].join(",");
            mock(&place, "archive", pixel, &["--edge", &edges]);
            let (one, other) = (outcome_beside(*first, second.0), outcome_beside(*second, first.0));
            expected.insert(pixel, (edges, worse(one, other)));
        }
    }
    assert_eq!(expected.len(), 22 * 21 / 2);
    let endings = endings(&convert(&place, "archive", &[]).expect(3));
    for (pixel, (edges, expected)) in expected {
        assert_eq!(endings[&pixel]["outcome"], expected, "{edges}: {}", endings[&pixel]);
    }
}

#[test]
fn every_reason_is_kept() {
    let place = Place::private();
    mock(&place, "archive", 1, &["--edge", "missing_redrock,missing_arm,bad_sha256"]);
    let ended = convert(&place, "archive", &[]).expect(3);
    let reasons = ending(&ended)["reasons"].as_array().expect("a list").len();
    assert_eq!(reasons, 3, "{}", ended.stdout);
    let record = place.lake().join(".bifrost/quarantine/iron-main-dark-1.json");
    let record: Value = serde_json::from_slice(&fs::read(record).expect("a record")).expect("JSON");
    assert_eq!(record["outcome"], "checksum_mismatch");
    assert_eq!(record["reasons"].as_array().expect("a list").len(), 3);
    assert!(record["advice"].as_str().expect("advice").contains("--no-verify"));
}

#[test]
fn the_historic_cut_selects() {
    let place = Place::private();
    let cut = ["--where", "spectype = 'QSO' and zwarn = 0"];
    for (pixel, edge) in ["no_qso", "no_good", "all_qso"].iter().enumerate() {
        mock(&place, "archive", pixel, &["--edge", edge]);
    }
    let ended = convert(&place, "archive", &cut).expect(0);
    let endings = endings(&ended);
    assert_eq!(
        (&endings[&0]["outcome"], &endings[&1]["outcome"]),
        (&"empty".into(), &"empty".into())
    );
    assert!(endings[&0]["path"].as_str().expect("a path").ends_with("-0_0.parquet"));
    let batch = read(Path::new(endings[&2]["path"].as_str().expect("a path")));
    assert!(batch.num_rows() > 0);
    let types = batch.column_by_name("spectype").expect("a column").as_string::<i32>();
    assert!(types.iter().all(|t| t == Some("QSO")));
    let zwarn = batch.column_by_name("zwarn").expect("a column").as_primitive::<Int64Type>();
    assert!(zwarn.iter().all(|z| z == Some(0)));
}

#[test]
fn columns_that_only_pixels_tell_select_too() {
    let place = Place::private();
    mock(&place, "archive", 1, &["--edge", "dead_b"]);
    assert_eq!(outcome(&convert(&place, "archive", &["--where", "GOOD_PIX_B > 0"])), "empty");
    assert_eq!(outcome(&convert(&place, "archive", &["--where", "good_pix_b = 0"])), "converted");
}

#[test]
fn the_order_of_rows_in_a_source_means_nothing() {
    let place = Place::private();
    let made = ["no_sha256", "shuffle_redrock", "shuffle_emline"].map(|edge| {
        // the dice of rrdetails fall after the shuffling
        mock(&place, edge, 7, &["--edge", edge, "missing_rrdetails"]);
        rows(&convert(&place, edge, &["--force", "--keep", "all"]).expect(0))
    });
    assert!(made[0].num_rows() == 12);
    assert_same_rows(&made[0], &made[1]);
    assert_same_rows(&made[0], &made[2]);
}

#[test]
fn masks_of_every_form_are_the_same() {
    let place = Place::private();
    let made = ["int32", "uint32", "gzip", "rice"].map(|form| {
        mock(&place, form, 7, &["--mask", form]);
        rows(&convert(&place, form, &["--force"]).expect(0))
    });
    let masked = |batch: &RecordBatch| {
        let lists = batch.column_by_name("mask_array").expect("a column").as_list::<i32>();
        let bits = lists.values().as_primitive::<arrow::datatypes::Int32Type>();
        bits.values().iter().filter(|bits| **bits != 0).count()
    };
    assert!(masked(&made[0]) > 0);
    for batch in &made[1..] {
        assert_same_rows(&made[0], batch);
    }
}

#[test]
fn a_packed_coadd_is_read() {
    let place = Place::private();
    mock(&place, "plain", 7, &[]);
    let plain = rows(&convert(&place, "plain", &[]).expect(0));
    let folder = place.path("plain/healpix/main/dark/0/7");
    let coadd = folder.join("coadd-main-dark-7.fits");
    let packed = File::create(folder.join("coadd-main-dark-7.fits.gz")).expect("a file");
    let mut gzip = Command::new("gzip");
    gzip.arg("-c").arg(&coadd).stdout(packed);
    assert!(gzip.status().expect("gzip is installed").success());
    fs::remove_file(&coadd).expect("removed");
    let ended = convert(&place, "plain", &[]).expect(0);
    assert_same_rows(&rows(&ended), &plain);
    assert_eq!(files_under(&place.lake().join(".bifrost/staging")), 0);
}

#[test]
fn what_is_not_finite_has_no_weight() {
    let place = Place::private();
    mock(&place, "archive", 7, &["--edge", "nan_flux"]);
    let ended = convert(&place, "archive", &[]).expect(0);
    let batch = rows(&ended);
    for name in ["flux", "ivar"] {
        let lists = batch.column_by_name(name).expect("a column").as_list::<i32>();
        let values = lists.values().as_primitive::<Float32Type>();
        assert!(values.values().iter().all(|x| x.is_finite()), "{name}");
    }
    assert!(ending(&ended)["notes"].to_string().contains("not finite"));
}

#[test]
fn only_what_changed_is_made_again() {
    let place = Place::private();
    mock(&place, "archive", 7, &[]);
    let folder = place.path("archive/healpix/main/dark/0/7");
    let again = |more: &[&str]| outcome(&convert(&place, "archive", more).expect(0));
    assert_eq!(again(&["--no-verify"]), "converted");
    assert_eq!(again(&["--no-verify"]), "unchanged");
    assert_eq!(again(&[]), "converted", "now it can be verified");
    assert_eq!(again(&[]), "unchanged");
    assert_eq!(again(&["--no-verify"]), "unchanged", "verified is verified");
    let redrock = folder.join("redrock-main-dark-7.fits");
    let file = File::options().append(true).open(&redrock).expect("a file");
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1)).expect("set");
    assert_eq!(again(&[]), "unchanged", "another time, the same bytes");
    let noted = place.lake().join(".bifrost/digests/iron-main-dark-7.json");
    let first = fs::metadata(&noted).expect("noted").ino();
    assert_eq!(again(&[]), "unchanged");
    assert_eq!(fs::metadata(&noted).expect("noted").ino(), first, "its digest is known now");
    // what is noted is believed of that name, size and time alone
    let text = fs::read_to_string(&noted).expect("a note");
    let sha256 = text.split('"').find(|word| word.len() == 64).expect("a digest");
    fs::write(&noted, text.replace(sha256, &"0".repeat(64))).expect("written");
    assert_eq!(again(&[]), "converted", "the note was asked, not the file");
    fs::write(&noted, "{").expect("written");
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(2)).expect("set");
    assert_eq!(again(&[]), "unchanged", "a damaged note is no note");
    assert_eq!(again(&["--precision", "exact"]), "converted");
    assert_eq!(again(&["--precision", "exact"]), "unchanged");
    assert_eq!(again(&["--precision", "exact", "--force"]), "converted");
    fs::remove_file(folder.join("emline-main-dark-7.fits")).expect("removed");
    assert_eq!(again(&["--precision", "exact"]), "converted");
    // each predecessor is kept, one file is live
    assert_eq!(visible(&place.lake()).len(), 1);
    assert_eq!(files_under(&place.lake().join(".bifrost/replaced")), 5);
}

#[test]
fn a_quarantined_tile_returns() {
    let place = Place::private();
    mock(&place, "archive", 7, &["--edge", "bad_sha256"]);
    let quarantine = place.lake().join(".bifrost/quarantine");
    assert_eq!(outcome(&convert(&place, "archive", &[]).expect(3)), "checksum_mismatch");
    assert_eq!(files_under(&quarantine), 1);
    mock(&place, "archive", 7, &[]);
    assert_eq!(outcome(&convert(&place, "archive", &[]).expect(0)), "converted");
    assert_eq!(files_under(&quarantine), 0);
    // what is published stays when its sources go bad
    mock(&place, "archive", 7, &["--edge", "truncated_coadd"]);
    assert_eq!(outcome(&convert(&place, "archive", &[]).expect(3)), "checksum_mismatch");
    assert_eq!(visible(&place.lake()).len(), 1);
}

#[test]
fn a_dry_run_writes_nothing() {
    let place = Place::private();
    mock(&place, "archive", 7, &[]);
    mock(&place, "archive", 8, &["--edge", "missing_redrock"]);
    let ended = convert(&place, "archive", &["--dry-run"]).expect(0);
    let plans = ended.json();
    assert_eq!(plans["dry_run"], true);
    let would = |i: usize| plans["tiles"][i]["would"].as_str().expect("a word").to_owned();
    assert_eq!((would(0).as_str(), would(1).as_str()), ("convert", "missing_source"));
    assert!(!place.lake().exists());
}

#[test]
fn options_are_refused_before_anything_is_done() {
    let place = Place::private();
    mock(&place, "archive", 7, &[]);
    for bad in [
        &["--where", "no_such_column = 1"][..],
        &["--where", "z >"],
        &["--where", "flux > 1"],
        &["--precision", "most"],
        &["--wave", "9800,3600"],
        &["--compression", "gzip"],
        &["--keep", "some"],
    ] {
        convert(&place, "archive", bad).expect(2);
    }
    convert(&place, "gone", &[]).expect(2);
    fs::create_dir(place.path("bare")).expect("made");
    convert(&place, "bare", &[]).expect(4);
    assert!(!place.lake().exists());
}

#[test]
fn settings_come_from_the_file_too() {
    let place = Place::private();
    mock(&place, "archive", 7, &[]);
    fs::write(place.path("bifrost.toml"), "[convert]\nkeep = 'all'\nwhere = 'z > 99'\n")
        .expect("set");
    assert_eq!(outcome(&convert(&place, "archive", &[]).expect(0)), "empty");
    let all = convert(&place, "archive", &["--where", "z < 99"]).expect(0);
    assert_eq!(ending(&all)["rows"], 12);
    fs::write(place.path("bifrost.toml"), "[convert]\nkeeep = 'all'\n").expect("set");
    convert(&place, "archive", &[]).expect(2);
    fs::remove_file(place.path("bifrost.toml")).expect("removed");
}

#[test]
fn two_runs_at_once_publish_each_tile_once() {
    let place = Place::private();
    for pixel in 0..6 {
        mock(&place, "archive", pixel, &[]);
    }
    let archive = place.path("archive");
    let start = |precision| {
        let archive = archive.to_str().expect("text");
        place.start(["convert", archive, "--precision", precision])
    };
    let runs = [start("exact"), start("decimals"), start("exact")];
    for mut run in runs {
        assert!(run.wait().expect("it ends").success());
    }
    assert_eq!(visible(&place.lake()).len(), 6);
    for file in visible(&place.lake()) {
        assert!(read(&file).num_rows() > 0);
    }
}

#[test]
fn a_killed_run_leaves_nothing_half_made() {
    let place = Place::private();
    for pixel in 0..4 {
        mock(&place, "archive", pixel, &[]);
    }
    let archive = place.path("archive");
    let archive = archive.to_str().expect("text");
    for trial in 0..trials(12, 100) as u64 {
        // tiles are replaced in every other trial, so that kills meet replacements too
        let precision = if trial % 2 == 0 { "exact" } else { "decimals" };
        let mut run = place.start(["convert", archive, "--precision", precision, "--force"]);
        std::thread::sleep(Duration::from_millis(trial * 37 % 400));
        run.kill().expect("killed");
        run.wait().expect("it ends");
        for file in visible(&place.lake()) {
            assert!(read(&file).num_rows() > 0, "{}", file.display());
        }
    }
    let ended = convert(&place, "archive", &["--precision", "exact"]).expect(0);
    assert_eq!(endings(&ended).len(), 4);
    assert_eq!(visible(&place.lake()).len(), 4);
    for folder in ["staging", "intents", "claims"] {
        assert_eq!(files_under(&place.lake().join(".bifrost").join(folder)), 0, "{folder}");
    }
}

/// Mounts a disk of 2 MB on the lake, converts, lists what is there, makes room, converts again.
/// Nobody else sees the disk, and it is gone with this shell.
const SMALL_DISK: &str = r#"
    mount -t tmpfs -o size=2m none "$BIFROST_LAKE" || exit
    "$0" convert archive --jobs 1 --json > full.json
    echo $? > full.code
    (cd "$BIFROST_LAKE" && find . -type f | sort) > full.files
    mount -o remount,size=64m "$BIFROST_LAKE" || exit
    "$0" convert archive --json > roomy.json
"#;

#[test]
fn a_full_disk_costs_only_the_tile_that_does_not_fit() {
    let place = Place::private();
    for (pixel, objects) in [("0", "12"), ("1", "90"), ("2", "12")] {
        let sized = ["mock", "--out", "archive", "--pix", pixel, "--objects", objects];
        place
            .bifrost([&sized[..], &["--no-resolution", "--rrdetails", "small"]].concat())
            .expect(0);
    }
    fs::create_dir(place.lake()).expect("a folder to mount on");
    // root may mount; others may in a user namespace, where the system lets them
    let is_allowed = |how: &&&[&str]| {
        let mount = ["mount", "-t", "tmpfs", "none"];
        let mut trial = Command::new("unshare");
        trial.args(**how).args(mount).arg(place.lake()).stderr(Stdio::null());
        trial.status().is_ok_and(|status| status.success())
    };
    let ways: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    let Some(how) = ways.iter().find(is_allowed) else {
        return leave_out("no disk may be mounted here; left out: convert on a full disk");
    };
    let mut run = clean(Command::new("unshare"));
    run.args(*how).args(["sh", "-c", SMALL_DISK, BIFROST]).current_dir(place.path(""));
    assert!(run.env("BIFROST_LAKE", place.lake()).status().expect("it runs").success());
    let said = |name: &str| fs::read_to_string(place.path(name)).expect("it was written");
    let outcomes = |name: &str| {
        let report: Value = serde_json::from_str(&said(name)).expect("JSON");
        let tiles = report["tiles"].as_array().expect("tiles").clone();
        let outcome = |tile: &Value| tile["outcome"].as_str().expect("a word").to_owned();
        (tiles.iter().map(outcome).collect::<Vec<_>>(), tiles)
    };
    let (full, tiles) = outcomes("full.json");
    assert_eq!(full, ["converted", "disk", "converted"], "{tiles:?}");
    assert!(tiles[1]["reasons"][0].as_str().expect("a reason").contains("No space left"));
    assert_eq!(said("full.code"), "3\n");
    let files = said("full.files");
    let left: Vec<_> = files.lines().map(|path| path.rsplit('/').next().unwrap_or(path)).collect();
    let kept = ["hats.lock", "lake.json", "publish.lock", "iron-main-dark-1.json"];
    let made = ["iron-main-dark-0_", "iron-main-dark-2_"];
    let about = [
        "_common_metadata",
        "hats.properties",
        "partition_info.csv",
        "point_map.fits",
        "properties",
        "skymap.fits",
    ];
    let expected: Vec<_> = kept.iter().chain(&made).chain(&about).collect();
    assert!(left.iter().zip(&expected).all(|(file, name)| file.starts_with(**name)), "{files}");
    assert_eq!(left.len(), expected.len(), "something of the one that did not fit: {files}");
    assert_eq!(outcomes("roomy.json").0, ["unchanged", "converted", "unchanged"]);
}

#[test]
fn real_tiles_convert() {
    let Some(shared) = shared("the real iron pair and the real EDR coadd through convert") else {
        return;
    };
    let place = Place::private();
    let fixture =
        |name: &str| shared.join("fixtures").join(name).to_str().expect("text").to_owned();
    let coadd = fixture("coadd-4-80613-thru20210324.fits");
    let redrock = fixture("redrock-4-80613-thru20210324.fits");
    let pair = ["convert", &coadd, &redrock, "--json"];
    let unknown = place.bifrost(pair).expect(3).json();
    assert_eq!(unknown["tiles"][0]["outcome"], "missing_source");
    let advice = unknown["tiles"][0]["advice"].as_str().expect("advice").to_owned();
    assert!(advice.contains("--survey") && advice.contains("--program"), "{advice}");
    let given = [&pair[..], &["--survey", "sv1", "--program", "dark"]].concat();
    let ended = place.bifrost(given).expect(0);
    assert_eq!(ending(&ended)["rows"], 1);
    let batch = rows(&ended);
    let ids = batch.column_by_name("target_id").expect("a column").as_primitive::<Int64Type>();
    assert_eq!(ids.value(0), 39633345008634465);
    let bits = batch.column_by_name("desi_target").expect("a column").as_primitive::<Int64Type>();
    assert_eq!(bits.value(0), 1 << 60, "the survey's own column");
    assert_eq!(files_under(&place.lake().join(".bifrost/quarantine")), 0, "now it is known");
    let edr = place.bifrost(["convert", &fixture("coadd-sv3-dark-26065.fits"), "--json"]).expect(3);
    assert_eq!(ending(&edr)["outcome"], "missing_source");
    assert_eq!(ending(&edr)["tile"]["release"], "fuji");
}
