//! `bifrost resolve` and `bifrost read` on a small lake: formats, exit codes, what is said where.

use crate::support::{Ended, Place};
use std::io::Read;
use std::process::Stdio;

/// A lake of four tiles, two of each program, in the registry.
fn lake() -> Place {
    let place = Place::new();
    let archive = place.path("archive");
    let archive = archive.to_str().expect("a path of text");
    for program in ["dark", "bright"] {
        let small = ["--rrdetails", "small", "--no-resolution", "--tiles", "2", "--objects", "30"];
        place
            .bifrost(["mock", "--out", archive, "--program", program].iter().chain(&small))
            .expect(0);
    }
    place.bifrost(["convert", archive, "--group-rows", "10"]).expect(0);
    place.bifrost(["sync"]).expect(0);
    place
}

#[test]
fn an_empty_registry_has_no_answer_and_says_why() {
    let place = Place::new();
    std::fs::create_dir(place.lake()).expect("a folder");
    place.bifrost(["sync"]).expect(0);
    let ended = place.bifrost(["resolve", "z > 1"]).expect(4);
    assert!(ended.stderr.contains("bifrost sync"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_question_that_cannot_be_meant_is_a_usage_error() {
    let place = lake();
    for (args, says) in [
        (vec!["resolve"], "PREDICATE"),
        (vec!["resolve", "z >"], "cannot be read"),
        (vec!["resolve", "zz > 1"], "did you mean 'z'?"),
        (vec!["resolve", "spectype = 1"], "'spectype' holds text"),
        (vec!["resolve", "flux > 1"], "'flux'"),
        (vec!["resolve", "spectype LIKE 'Q%'"], "spectype LIKE 'Q%'"),
        (vec!["resolve", "--cone", "1,2"], "RA,DEC,RADIUS_DEG"),
        (vec!["resolve", "--cone", "1,-100,2"], "not on the sky"),
        (vec!["resolve", "--product", "spectre"], "spectra"),
        (vec!["read", "z > 1", "--columns", "targte_id"], "did you mean 'target_id'?"),
        (vec!["read", "z > 1", "--format", "parquet"], "-o FILE"),
    ] {
        let ended = place.bifrost(&args).expect(2);
        assert!(ended.stderr.contains(says), "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{args:?}");
    }
}

#[test]
fn every_format_names_the_same_files() {
    let place = lake();
    let question = ["resolve", "zwarn = 0 AND TargetID > 0", "--cone", "0,0,180"];
    let answer = place.json(question);
    assert_eq!((&answer["version"], &answer["commit"]), (&1.into(), &1.into()));
    let files = answer["files"].as_array().expect("files");
    assert_eq!(files.len(), 4);
    for file in files {
        assert_eq!(file["path"], file["uri"], "the lake is here");
        assert_eq!(file["row_groups"].as_array().map(Vec::len), Some(3));
        for key in ["file_id", "node", "product", "num_rows", "size_bytes"] {
            assert!(!file[key].is_null(), "{key}");
        }
    }
    let paths = place.bifrost(question.iter().chain(&["--format", "paths"])).expect(0).stdout;
    let listed: Vec<&str> = paths.lines().collect();
    assert_eq!(listed, files.iter().filter_map(|f| f["path"].as_str()).collect::<Vec<_>>());
    let table = place.bifrost(question.iter().chain(&["--explain"])).expect(0);
    assert_eq!(table.stdout.lines().count(), 5);
    assert!(table.stderr.contains("4 of 4 files"), "{}", table.stderr);
    assert!(table.stderr.contains("sky cover of the region"), "{}", table.stderr);
    assert_eq!(
        place.bifrost(["resolve", "z > 90", "--json"]).expect(4).json()["pruned"]["files"],
        0
    );
}

#[test]
fn a_database_url_is_enough() {
    let place = lake();
    let answer = without_lake(&place)(&["resolve", "z > 0", "--json"]);
    assert_eq!(answer.expect(0).json()["files"].as_array().map(Vec::len), Some(4));
}

/// Runs the program elsewhere, with the database's URL and no lake.
fn without_lake(place: &Place) -> impl Fn(&[&str]) -> Ended {
    // a private server's URL; that of another is in the environment already
    let url = place.json(["db", "status"])["url"].as_str().map(str::to_owned);
    move |args| {
        let mut command = place.command(args);
        command.env_remove("BIFROST_LAKE").current_dir("/");
        command.envs(url.iter().map(|url| ("BIFROST_DATABASE_URL", url)));
        Ended::from(command.output().expect("the program runs"))
    }
}

#[test]
fn files_out_of_reach_are_named() {
    let place = lake();
    // a private server of its own would go away with the lake
    let (server, database) = (Place::new(), "--database-url");
    let url = server.database_url();
    place.bifrost(["sync", "--no-datasheet", database, &url]).expect(0);
    let away = |args: &[&str]| {
        let mut command = server.command(args);
        command.env_remove("BIFROST_LAKE").env("BIFROST_DATABASE_URL", &url);
        Ended::from(command.output().expect("the program runs"))
    };
    std::fs::rename(place.lake(), place.path("elsewhere")).expect("moved away");
    let resolved = away(&["resolve", "z > 0", "--format", "paths"]).expect(0);
    assert_eq!(resolved.stdout, "");
    assert!(resolved.stderr.contains("iron-main-dark-"), "{}", resolved.stderr);
    let answer = away(&["resolve", "z > 0", "--json"]).expect(0).json();
    assert!(answer["files"][0]["uri"].is_null() && !answer["files"][0]["path"].is_null());
    let read = away(&["read", "z > 0"]).expect(1);
    assert!(read.stderr.contains("cannot be opened from here"), "{}", read.stderr);
    std::fs::rename(place.path("elsewhere"), place.lake()).expect("moved back");
}

#[test]
fn sql_of_objects_leads_to_their_rows() {
    let place = lake();
    place.sql("CREATE TABLE galaxies AS SELECT target_id AS targetid, z FROM catalog WHERE z > 1");
    let count = |condition: &str| -> usize {
        let rows = format!("SELECT count(*) FROM catalog WHERE {condition}");
        place.sql(&rows).parse().expect("a number")
    };
    let question = ["--sql", "SELECT targetid FROM galaxies WHERE z < 2;"];
    let answer = place.json(["resolve"].iter().chain(&question));
    let files = answer["files"].as_array().expect("files");
    let rows: usize = files.iter().filter_map(|f| f["rows"].as_array()).map(Vec::len).sum();
    assert_eq!(rows, count("z > 1 AND z < 2"));
    assert_eq!(answer["pruned"]["rows_at_most"], rows);
    let read = ["read", "zwarn = 0", "--format", "csv", "--columns", "target_id"];
    let read = place.bifrost(read.iter().chain(&question)).expect(0);
    assert_eq!(read.stdout.lines().count(), 1 + count("z > 1 AND z < 2 AND zwarn = 0"));
    let told = place.bifrost(["resolve", "--explain"].iter().chain(&question)).expect(0);
    assert!(told.stderr.contains("objects of the SQL"), "{}", told.stderr);

    for (sql, says) in [
        ("SELECT z FROM galaxies", "double precision"),
        ("SELECT * FROM galaxies", "only one column"),
        ("DELETE FROM galaxies RETURNING targetid", "only reads"),
        ("SELECT targetid FROM nowhere", "\"nowhere\" does not exist"),
    ] {
        let ended = place.bifrost(["read", "--sql", sql]).expect(2);
        assert!(ended.stderr.contains(says), "{sql}: {}", ended.stderr);
    }
    place.bifrost(["resolve", "--sql", "SELECT targetid FROM galaxies WHERE z < 0"]).expect(4);
    assert_eq!(place.sql("SELECT count(*) FROM galaxies"), count("z > 1").to_string());
}

#[test]
fn a_file_is_found_where_its_rows_lie() {
    let place = lake();
    let (ra, dec) = place
        .sql("SELECT ra || ' ' || dec FROM catalog ORDER BY target_id LIMIT 1")
        .split_once(' ')
        .map(|(ra, dec)| (ra.to_owned(), dec.to_owned()))
        .expect("a position");
    let cone = format!("{ra},{dec},0.01");
    let corner = |end: &str| format!("ra {end} {ra} AND dec {end} {dec}");
    let box_of_one = format!("{} AND {}", corner(">="), corner("<="));
    let found = || {
        let by_cone: &[&str] = &["release = 'iron'", "--cone", &cone];
        [by_cone, &[&box_of_one]].map(|question| {
            let paths = ["resolve", "--format", "paths"];
            place.bifrost(paths.iter().chain(question)).stdout.lines().count()
        })
    };
    let before = found();
    assert!(before.iter().all(|files| (1..4).contains(files)), "{before:?}");
    // whatever the name of a file says of its pixel, and whoever wrote it
    for change in
        ["healpix = (healpix + 20000) % 49152", "healpix = NULL", "is_ours = false", "sky = NULL"]
    {
        place.sql(&format!("UPDATE file_registry SET {change}"));
        let now = found();
        assert!(now.iter().zip(&before).all(|(now, before)| now >= before), "{change}: {now:?}");
    }
}

#[test]
fn rows_come_as_asked_for() {
    let place = lake();
    let question = "zwarn = 0 AND spectype = 'GALAXY'";
    let count = place.sql("SELECT count(*) FROM catalog WHERE zwarn = 0 AND spectype = 'GALAXY'");
    let count: usize = count.parse().expect("a number");
    assert!(count > 20, "{count}");

    let csv =
        place.bifrost(["read", question, "--format", "csv", "--columns", "Z,TARGETID"]).expect(0);
    assert_eq!(csv.stdout.lines().next(), Some("z,target_id"));
    assert_eq!(csv.stdout.lines().count(), count + 1);

    let json = place.bifrost(["read", question, "--json", "--limit", "7"]).expect(0);
    let rows: Vec<serde_json::Value> =
        json.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.len(), 7);
    assert!(rows.iter().all(|row| row["flux"].as_array().is_some_and(|flux| flux.len() > 7000)));

    let table = place.bifrost(["read", question, "--columns", "target_id,flux"]).expect(0);
    assert_eq!(table.stdout.lines().count(), count + 1);
    assert!(table.stdout.contains(" values]"), "{}", table.stdout);
    let table = place.bifrost(["read", question, "--limit", "1"]).expect(0);
    assert!(table.stdout.contains("spectype") && !table.stdout.contains("wavelength"));

    let file = place.path("found.parquet");
    let file = file.to_str().expect("a path of text");
    place.bifrost(["read", question, "--format", "parquet", "-o", file]).expect(0);
    place.bifrost(["read", "z > 90", "--format", "parquet", "-o", file]).expect(4);
    let left: Vec<_> = std::fs::read_dir(place.path("")).expect("the folder").collect();
    let names: Vec<_> = left.into_iter().flatten().map(|e| e.file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains("partial")), "{names:?}");
    assert!(std::fs::metadata(file).expect("it stays").len() > 10_000);
}

#[test]
fn a_file_that_vanished_is_named_with_what_to_do() {
    let place = lake();
    let answer = place.json(["resolve", "z > 0"]);
    let path = answer["files"][1]["path"].as_str().expect("a path").to_owned();
    std::fs::remove_file(&path).expect("removed");
    let ended = place.bifrost(["read", "z > 0"]).expect(1);
    assert!(
        ended.stderr.contains(&path) && ended.stderr.contains("bifrost sync"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = lake();
    let mut command = place.command(["read", "TRUE", "--json"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut out = child.stdout.take().expect("its output");
    let mut some = [0; 100];
    out.read_exact(&mut some).expect("it speaks");
    drop(out);
    let ended = Ended::from(child.wait_with_output().expect("it ends")).expect(0);
    assert_eq!(ended.stderr, "");
}
