//! Time travel: whatever became of the files since, the list as of a commit is the list of then.

use crate::support::{Place, trials};
use crate::sync::{Dice, rows, tile, write};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const QUESTIONS: [&[&str]; 6] = [
    &["z >= 0"],
    &["spectype = 'QSO' AND zwarn = 0 AND z > 3.8"],
    &["tsnr2_lrg >= 40 AND z < 1"],
    &["z > 3.9 OR z < 0.05"],
    &["target_id IN (-7, 39627000000000011)"],
    &["z > 1", "--cone", "45,3,0.1"],
];

type List = Vec<(Value, Value)>;

/// Files and row groups of every answer; what is read of them where it can be.
fn asked(place: &Place, as_of: Option<&str>) -> Vec<List> {
    let ask = |question: &&[&str]| {
        let mut args = [&["resolve", "--json"], *question].concat();
        args.extend(as_of.iter().flat_map(|commit| ["--as-of", commit]));
        let ended = place.bifrost(args);
        // nothing at all matches, or there is no file: 4
        assert!([0, 4].contains(&ended.code), "{}", ended.stderr);
        let files = ended.json()["files"].as_array().cloned().unwrap_or_default();
        files.into_iter().map(|f| (f["file_id"].clone(), f["row_groups"].clone())).collect()
    };
    QUESTIONS.iter().map(ask).collect()
}

fn change(place: &Place, dice: &mut Dice, away: &Path) {
    let lake = place.lake();
    let place_of = |pixel: u32, count: usize| tile(&lake, pixel, count);
    for _ in 0..=dice.roll(3) {
        let pixel = dice.roll(6) as u32;
        let folder = place_of(pixel, 0).parent().map(Path::to_owned).unwrap_or_default();
        let there = fs::read_dir(&folder).ok().and_then(|mut entries| entries.next()?.ok());
        match (there, dice.roll(5)) {
            (Some(file), 0) => fs::remove_file(file.path()).expect("removed"),
            (Some(file), 1) => {
                fs::rename(file.path(), away.join(file.file_name())).expect("moved away");
            }
            (Some(file), 2) => fs::write(file.path(), "no Parquet").expect("damaged"),
            (Some(file), _) => {
                fs::remove_file(file.path()).expect("removed");
                let count = 10 + dice.roll(40) as usize;
                write(&place_of(pixel, count), &rows(dice, count));
            }
            (None, 0..=2) => {
                let count = 10 + dice.roll(40) as usize;
                write(&place_of(pixel, count), &rows(dice, count));
            }
            (None, _) => {
                let is_its =
                    |path: &Path| path.to_string_lossy().contains(&format!("dark-{pixel}_"));
                let mut kept = fs::read_dir(away).expect("a folder").filter_map(Result::ok);
                if let Some(file) = kept.find(|file| is_its(&file.path())) {
                    fs::create_dir_all(&folder).expect("made");
                    fs::rename(file.path(), folder.join(file.file_name())).expect("moved back");
                }
            }
        }
    }
}

#[test]
fn as_of_every_commit_the_list_is_the_one_of_then() {
    for seed in 0..trials(1, 20) as u64 {
        let place = Place::new();
        let (mut dice, away) = (Dice(seed * 77 + 5), place.path("away"));
        fs::create_dir(place.lake()).expect("made");
        fs::create_dir(&away).expect("made");
        let mut then = BTreeMap::new();
        for _ in 0..trials(14, 60) {
            change(&place, &mut dice, &away);
            let catalog: &[&str] = if dice.roll(4) == 0 { &["--no-catalog"] } else { &[] };
            let ended = place.bifrost([&["sync", "--no-datasheet", "--json"], catalog].concat());
            assert!([0, 3].contains(&ended.code), "{}", ended.stderr);
            if let Some(commit) = ended.json()["commit"].as_i64() {
                then.insert(commit, asked(&place, None));
            }
        }
        assert!(then.len() > 8, "{} commits", then.len());
        for (commit, lists) in then {
            let now = asked(&place, Some(&commit.to_string()));
            for ((question, now), list) in QUESTIONS.iter().zip(now).zip(lists) {
                assert_eq!(now, list, "seed {seed}, commit {commit}, {question:?}");
            }
        }
    }
}
