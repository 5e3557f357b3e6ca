//! A sheet from facts that are written down here, against the sheet that is committed.

use super::{
    Access, CROISSANT, REDSHIFT, Regenerated, SHEET, SKY, as_of, regenerate, render, spell,
};
use bifrost_core::layout::Lake;
use bifrost_core::registry::facts::{
    ClassRow, Column, CommitRow, Facts, FileWrongRow, LakeRow, Listed, MakingRow, ProductRow,
    Range, RedshiftRow, Schema, Survey, TargetRow, Targeted, TileOutcomeRow, TileRow,
};
use bifrost_core::tile::Pixel;
use chrono::{DateTime, TimeZone, Utc};
use serde_json::json;
use std::fs;
use uuid::Uuid;

const HERE: Uuid = Uuid::from_u128(0xa1);
const THERE: Uuid = Uuid::from_u128(0xb2);

fn at(hour: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 14, hour, 15, 9).single().expect("a time")
}

fn survey(program: &str) -> Survey {
    let name = |text: &str| Some(text.to_owned());
    Survey { release: name("iron"), survey: name("main"), program: name(program) }
}

fn tile(program: &str, pixel: i64, rows: i64, here: bool) -> TileRow {
    TileRow {
        release: "iron".into(),
        survey: "main".into(),
        program: program.into(),
        pixel: Pixel::new(pixel).expect("a pixel"),
        rows,
        here,
    }
}

fn lake_row(lake_id: Uuid, node: &str, last_seen_at: DateTime<Utc>) -> LakeRow {
    LakeRow {
        lake_id,
        node: node.into(),
        root: format!("/srv/{node}/lake"),
        last_commit: Some(7),
        last_seen_at,
        uri_prefixes: if lake_id == HERE { vec![] } else { vec!["http://beta:8080".into()] },
    }
}

fn product(lake_id: Uuid, live: i64, rows: i64) -> ProductRow {
    ProductRow {
        product: "spectra".into(),
        lake_id,
        live,
        quarantined: i64::from(lake_id == HERE),
        missing: i64::from(lake_id == HERE),
        rows,
        empty: 1,
        row_groups: live,
        size_bytes: 75_000 * rows,
        largest_bytes: 40_000_000,
    }
}

fn classes() -> Vec<ClassRow> {
    let row = |program: &str, spectype: &str, zwarn_zero, objects| ClassRow {
        survey: survey(program),
        spectype: Some(spectype.to_owned()).filter(|s| !s.is_empty()),
        zwarn_zero,
        objects,
        z_min: Some(-0.001),
        z_max: Some(3.4),
    };
    vec![
        row("bright", "GALAXY", true, 300),
        row("dark", "GALAXY", true, 410),
        row("dark", "GALAXY", false, 70),
        row("dark", "QSO", true, 120),
        row("dark", "STAR", true, 60),
        row("dark", "", false, 3),
    ]
}

fn redshifts() -> Vec<RedshiftRow> {
    let row = |program: &str, spectype: &str, z_bin, objects| RedshiftRow {
        survey: survey(program),
        spectype: Some(spectype.into()),
        z_bin,
        objects,
    };
    let galaxies = (1..30).map(|bin| row("dark", "GALAXY", bin, 14));
    let quasars = (20..68).step_by(2).map(|bin| row("dark", "QSO", bin, 5));
    let bright = (0..10).map(|bin| row("bright", "GALAXY", bin, 30));
    let stars = [row("dark", "STAR", -1, 25), row("dark", "STAR", 0, 35)];
    bright.chain(galaxies).chain(quasars).chain(stars).collect()
}

fn targets() -> Vec<TargetRow> {
    let some = |rows| Targeted { rows, zwarn_zero: rows * 9 / 10 };
    vec![TargetRow {
        survey: survey("dark"),
        rows: 663,
        zwarn_zero: 590,
        negative_ids: 0,
        without_position: 2,
        good_fibers: 650,
        bgs: some(0),
        lrg: some(200),
        elg: some(210),
        qso: some(180),
        mws: some(40),
        scnd: some(12),
        other: some(30),
    }]
}

fn schemas() -> Vec<Schema> {
    let column = |name: &str, arrow_type: &str, unit: Option<&str>, description: &str| Column {
        name: name.into(),
        arrow_type: arrow_type.into(),
        unit: unit.map(str::to_owned),
        description: Some(description.to_owned()).filter(|d| !d.is_empty()),
        nulls: Some(0),
        range: None,
        files_without_bounds: 0,
        files_with_nan: 0,
    };
    let id = column("target_id", "Int64", None, "TARGETID of the survey");
    let z = column("z", "Float64", None, "Redshift of the best fit");
    let flux = column("h_alpha_flux", "Float32", Some("1e-17 erg s-1 cm-2"), "Hα | flux");
    let class = column("spectype", "Utf8", None, "Class of the best fit");
    let list = column("wavelength", "List(Float64)", Some("Angstrom"), "Vacuum wavelength");
    let foreign = column("subtype", "Utf8", None, "");
    let columns = vec![
        Column { range: Some(Range::Int(39_627_640_566_453_451, 39_627_757_567_869_142)), ..id },
        Column { range: Some(Range::Float(-0.001_234_567, 3.41)), ..z },
        Column {
            range: Some(Range::Float(-2e-3, 1234.5)),
            nulls: Some(17),
            files_with_nan: 1,
            ..flux
        },
        Column {
            range: Some(Range::Text("GALAXY".into(), "STAR".into())),
            files_without_bounds: 2,
            ..class
        },
        Column { nulls: None, ..list },
        Column { nulls: Some(963), ..foreign },
    ];
    vec![Schema {
        product: "spectra".into(),
        fingerprint: "5f2a9c0d1e3b".repeat(5),
        files: 7,
        rows: 963,
        columns,
    }]
}

fn makings() -> Vec<MakingRow> {
    let ours = json!({
        "version": "0.1.0",
        "writer": "bifrost",
        "config": "c0ffee0123456789",
        "configuration": {"precision": "decimals", "wave": [3600.0, 9800.0], "where": null},
        "headers": {
            "coadd.dependency.SPECPROD": "iron",
            "redrock.RRVER": "0.17.0",
            "redrock.TEMNAM00": "GALAXY",
            "redrock.TEMVER00": "2.6",
        },
    });
    let row = |files, document| MakingRow { product: "spectra".into(), files, rows: 0, document };
    vec![row(6, Some(ours)), row(1, None)]
}

fn commit(commit_id: i64, hour: u32) -> CommitRow {
    CommitRow {
        commit_id,
        committed_at: at(hour),
        node: "alpha".into(),
        program: "bifrost 0.1.0".into(),
        files_added: 4,
        files_changed: 1,
        files_missing: 1,
        files_replaced: 1,
        files_quarantined: 1,
        rows_added: 963,
        rows_removed: 100,
        bytes_added: 70_000_000,
        bytes_removed: 8_000_000,
    }
}

fn facts() -> Facts {
    let wrong = |path: &str, state: &str, reason: Option<&str>| FileWrongRow {
        lake_id: HERE,
        path: path.into(),
        state: state.into(),
        reason: reason.map(str::to_owned),
        since: Some(at(9)),
    };
    let folder = "spectra/dataset/Norder=6/Dir=10000/Npix=12712";
    Facts {
        taken_at: at(11),
        here: HERE,
        commits: vec![commit(7, 10), commit(6, 9)],
        lakes: vec![
            lake_row(HERE, "alpha", at(10)),
            lake_row(THERE, "beta", at(10) - chrono::Duration::days(9)),
        ],
        products: vec![product(HERE, 5, 700), product(THERE, 2, 263)],
        tiles: vec![
            tile("bright", 12_712, 300, true),
            tile("dark", 12_712, 234, true),
            tile("dark", 12_713, 0, true),
            tile("dark", 8_013, 166, true),
            tile("dark", 26_065, 263, false),
        ],
        classes: classes(),
        redshifts: redshifts(),
        targets: targets(),
        makings: makings(),
        schemas: schemas(),
        files_wrong: Listed {
            rows: vec![
                wrong(
                    &format!("{folder}/iron-main-dark-1_1.parquet"),
                    "quarantined",
                    Some("no footer: it ends | early"),
                ),
                wrong(&format!("{folder}/iron-main-dark-2_1.parquet"), "missing", None),
            ],
            total: 2,
        },
        tile_outcomes: Listed {
            rows: vec![TileOutcomeRow {
                lake_id: HERE,
                product: "spectra".into(),
                tile: "iron-main-dark-10003".into(),
                outcome: "missing_source".into(),
                reasons: vec!["there is no redrock file".into(), "<none>".into()],
                advice: Some("fetch redrock-main-dark-10003.fits".into()),
                at: at(8),
            }],
            total: 3,
        },
    }
}

fn nothing() -> Facts {
    Facts {
        commits: vec![],
        lakes: vec![],
        products: vec![],
        tiles: vec![],
        classes: vec![],
        redshifts: vec![],
        targets: vec![],
        makings: vec![],
        schemas: vec![],
        files_wrong: Listed { rows: vec![], total: 0 },
        tile_outcomes: Listed { rows: vec![], total: 0 },
        ..facts()
    }
}

fn access() -> Access {
    let variables = [
        ("PGHOST", "/srv/alpha/lake/.bifrost/pg".to_owned()),
        ("PGUSER", "postgres".to_owned()),
        ("PGPASSWORD", "secret".to_owned()),
        ("PGDATABASE", "it's".to_owned()),
    ];
    Access::new(&variables, true)
}

/// Compares with the committed text; `BIFROST_BLESS=1` writes it instead.
fn assert_snapshot(name: &str, text: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/datasheet/snapshots");
    let path = format!("{folder}/{name}");
    if std::env::var_os("BIFROST_BLESS").is_some() {
        fs::write(&path, text).expect("the snapshot can be written");
    }
    let committed = fs::read_to_string(&path).expect("the snapshot is committed");
    for (number, (made, wanted)) in text.lines().zip(committed.lines()).enumerate() {
        assert_eq!(made, wanted, "line {} of {name}", number + 1);
    }
    assert_eq!(text.len(), committed.len(), "{name} is longer or shorter than it was");
}

#[test]
fn the_sheet_is_what_it_was() {
    let sheet = render(&facts(), &access(), &spell::time(at(11))).expect("rendered");
    assert_snapshot("DATA_README.md", &sheet);
    assert!(!sheet.contains("secret"));
}

#[test]
fn the_twin_for_machines_is_what_it_was() {
    assert_snapshot("croissant.json", &super::croissant::render(&facts(), "DESI spectra (iron)"));
}

#[test]
fn an_empty_registry_gives_a_sheet_of_unknowns() {
    let sheet = render(&nothing(), &access(), &spell::time(at(11))).expect("rendered");
    assert_snapshot("DATA_README-empty.md", &sheet);
}

#[test]
fn every_table_row_has_the_cells_of_its_head() {
    for facts in [facts(), nothing()] {
        let sheet = render(&facts, &access(), "now").expect("rendered");
        let mut head = None;
        for line in sheet.lines() {
            let bars = line.replace("\\|", "").matches('|').count();
            match line.starts_with('|') {
                true => assert_eq!(*head.get_or_insert(bars), bars, "{line}"),
                false => head = None,
            }
        }
    }
}

fn lake() -> (tempfile::TempDir, Lake) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lake = Lake::open_or_create(&folder.path().join("lake"), "alpha").expect("a lake");
    (folder, lake)
}

#[test]
fn files_are_written_only_when_their_content_changed() {
    let (_folder, lake) = lake();
    let read = |name: &str| fs::read(lake.root().join(name)).expect("a file");
    assert_eq!(regenerate(&lake, &facts(), &access()).expect("made"), Regenerated::Written);
    let first = [SHEET, SKY, REDSHIFT, CROISSANT].map(read);
    let later = Facts { taken_at: at(23), ..facts() };
    assert_eq!(regenerate(&lake, &later, &access()).expect("made"), Regenerated::Unchanged);
    assert_eq!([SHEET, SKY, REDSHIFT, CROISSANT].map(read), first);
    let changed = Facts { commits: vec![commit(8, 12)], taken_at: at(23), ..facts() };
    assert_eq!(regenerate(&lake, &changed, &access()).expect("made"), Regenerated::Written);
    assert!(String::from_utf8_lossy(&read(SHEET)).contains("generated_at: \"2026-03-14 23:15:09"));
    fs::remove_file(lake.root().join(SKY)).expect("removed");
    assert_eq!(as_of(&lake), None);
    assert_eq!(regenerate(&lake, &changed, &access()).expect("made"), Regenerated::Written);
    assert_eq!(as_of(&lake), Some(8));
}

#[test]
fn curated_words_survive_and_a_damaged_sheet_is_kept() {
    let (_folder, lake) = lake();
    let path = lake.root().join(SHEET);
    regenerate(&lake, &facts(), &access()).expect("made");
    let sheet = fs::read_to_string(&path).expect("a sheet");
    let default = "*(Anything done to the data outside of Bifrost?)*";
    let mine = "We {{ cut }} <b>nothing</b>.\n\n| a | b |\n";
    fs::write(&path, sheet.replace(default, mine)).expect("edited");
    assert_eq!(regenerate(&lake, &facts(), &access()).expect("made"), Regenerated::Unchanged);
    let changed = Facts { commits: vec![commit(8, 12)], ..facts() };
    assert_eq!(regenerate(&lake, &changed, &access()).expect("made"), Regenerated::Written);
    assert!(fs::read_to_string(&path).expect("a sheet").contains(mine));

    let damaged = fs::read_to_string(&path).expect("a sheet").replace("<!-- /curated -->", "");
    fs::write(&path, &damaged).expect("edited");
    let Regenerated::WrittenKeeping { kept, damage } =
        regenerate(&lake, &changed, &access()).expect("made")
    else {
        panic!("the damage went unnoticed");
    };
    assert_eq!(fs::read_to_string(kept).expect("kept"), damaged);
    assert!(!damage.is_empty());
    let repaired = fs::read_to_string(&path).expect("a sheet");
    assert!(repaired.contains(mine.trim_end()));
    assert_eq!(regenerate(&lake, &changed, &access()).expect("made"), Regenerated::Unchanged);
}

#[test]
fn a_sheet_in_another_encoding_is_kept() {
    let (_folder, lake) = lake();
    fs::write(lake.root().join(SHEET), b"caf\xe9").expect("written");
    let made = regenerate(&lake, &facts(), &access()).expect("made");
    let Regenerated::WrittenKeeping { kept, .. } = made else { panic!("it went unnoticed") };
    assert_eq!(fs::read(kept).expect("kept"), b"caf\xe9");
}

#[test]
fn figures_are_well_formed_and_always_the_same() {
    let few: Vec<TileRow> = (0..40).map(|p| tile("dark", p * 1_000, p, true)).collect();
    let many: Vec<TileRow> = (0..12_000).map(|p| tile("dark", p * 4, p, true)).collect();
    for tiles in [vec![], few, many] {
        let facts = Facts { tiles, ..facts() };
        let figures = [
            super::sky_figure(&facts).expect("drawn"),
            super::redshift_figure(&facts).expect("drawn"),
        ];
        for svg in &figures {
            assert_well_formed(svg);
        }
        let again = [
            super::sky_figure(&facts).expect("drawn"),
            super::redshift_figure(&facts).expect("drawn"),
        ];
        assert_eq!(figures, again);
    }
    super::redshift_figure(&nothing()).map(|svg| assert_well_formed(&svg)).expect("drawn");
}

/// Every element is closed in its order, every attribute quoted, no stray `<` or `&`.
fn assert_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg.trim();
    while let Some(start) = rest.find('<') {
        assert!(!open.is_empty() || rest.len() == svg.trim().len(), "text outside of the root");
        for reference in rest[..start].split('&').skip(1) {
            assert!(reference.contains(';'), "a bare & in {reference:?}");
        }
        let end = rest[start..].find('>').expect("a tag that ends") + start;
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        assert!(!tag.contains(['<', '\'']), "{tag}");
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed));
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap_or_default());
        }
    }
    assert!(open.is_empty() && rest.is_empty(), "{open:?} stay open");
}
