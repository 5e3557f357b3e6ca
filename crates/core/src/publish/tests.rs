use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

fn lake() -> (tempfile::TempDir, Lake) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let lake = Lake::open_or_create(&dir.path().join("lake"), "here").expect("a lake");
    (dir, lake)
}

fn spectra() -> Name {
    Name::new("spectra").expect("a name")
}

fn tile() -> Tile {
    let name = |n| Name::new(n).expect("a name");
    let pixel = Pixel::new(12712).expect("a pixel");
    Tile { release: name("iron"), survey: name("main"), program: name("dark"), pixel }
}

fn publish(lake: &Lake, text: &str, rows: u64) -> Published {
    let staging = Staging::open(lake).expect("staging");
    let claim = staging.claim(&spectra(), &tile()).expect("a claim");
    fs::write(claim.draft(), text).expect("a draft");
    claim.publish(rows).expect("published")
}

fn live(lake: &Lake) -> Vec<(String, String)> {
    let read = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("text"))
    };
    lake.files_of(&spectra(), &tile()).expect("listed").iter().map(read).collect()
}

fn replaced(lake: &Lake) -> Vec<String> {
    let dirs = entries(&lake.private(REPLACED)).expect("listed");
    let files = dirs.iter().flat_map(|d| entries(d).expect("listed"));
    files.map(|f| fs::read_to_string(f).expect("text")).collect()
}

fn is_clean(lake: &Lake) -> bool {
    [INTENTS, STAGING, CLAIMS].iter().all(|d| entries(&lake.private(d)).is_ok_and(|e| e.is_empty()))
}

#[test]
fn a_successor_replaces_and_keeps_its_predecessor() {
    let (_dir, lake) = lake();
    assert_eq!(publish(&lake, "one", 1).replaced, Vec::<PathBuf>::new());
    publish(&lake, "two", 2);
    publish(&lake, "two again", 2);
    let published = publish(&lake, "none", 0);
    assert_eq!(published.size_bytes, 4);
    assert_eq!(live(&lake), [("iron-main-dark-12712_0.parquet".into(), "none".into())]);
    assert_eq!(replaced(&lake), ["one", "two", "two again"]);
    assert!(is_clean(&lake));
}

#[test]
fn a_dropped_claim_leaves_nothing() {
    let (_dir, lake) = lake();
    let staging = Staging::open(&lake).expect("staging");
    let claim = staging.claim(&spectra(), &tile()).expect("a claim");
    fs::write(claim.draft(), "half").expect("a draft");
    drop(claim);
    drop(staging);
    assert!(live(&lake).is_empty() && is_clean(&lake));
    assert!(!lake.root().join("spectra").exists());
}

#[test]
fn living_runs_keep_their_drafts() {
    let (_dir, lake) = lake();
    let staging = Staging::open(&lake).expect("staging");
    let claim = staging.claim(&spectra(), &tile()).expect("a claim");
    fs::write(claim.draft(), "mine").expect("a draft");
    drop(recover(&lake).expect("recovered"));
    claim.publish(1).expect("published");
    assert_eq!(live(&lake).len(), 1);
}

#[test]
fn one_writer_at_a_time() {
    let (_dir, lake) = lake();
    let inside = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for i in 0..8 {
            let (lake, inside) = (&lake, &inside);
            scope.spawn(move || {
                let staging = Staging::open(lake).expect("staging");
                let claim = staging.claim(&spectra(), &tile()).expect("a claim");
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two writers");
                fs::write(claim.draft(), format!("{i}")).expect("a draft");
                inside.fetch_sub(1, Ordering::SeqCst);
                claim.publish(i % 3).expect("published");
            });
        }
    });
    assert_eq!((live(&lake).len(), replaced(&lake).len()), (1, 7));
    assert!(is_clean(&lake));
}

/// A step function that stops before step `at`, and says how many were begun.
fn stop_before(at: usize, begun: &mut usize) -> impl FnMut(&'static str) -> io::Result<()> {
    move |name| {
        *begun += 1;
        if *begun > at { Err(io::Error::other(name)) } else { Ok(()) }
    }
}

/// Leaves the lake as a process killed before step `at` of a replacement leaves it.
fn die_replacing(lake: &Lake, rows: u64, at: usize) -> bool {
    let dir = lake.private(STAGING).join(Uuid::new_v4().to_string());
    make_dirs(&dir).expect("made");
    let draft = dir.join("draft.parquet");
    fs::write(&draft, "new").expect("a draft");
    let target = lake.file(&spectra(), &FileName { tile: tile(), rows });
    let old = lake.files_of(&spectra(), &tile()).expect("listed");
    let intent =
        Intent::new(lake.root(), Uuid::now_v7(), &draft, &target, &old).expect("an intent");
    let mut begun = 0;
    let record = intent.path(lake);
    if at > 0 {
        make_dirs(&lake.private(INTENTS)).expect("made");
        fs::write(&record, serde_json::to_vec(&intent).expect("JSON")).expect("recorded");
    }
    at > 0 && carry_out(lake, &intent, &mut stop_before(at - 1, &mut begun)).is_ok()
}

#[test]
fn killed_anywhere_either_state_is_whole() {
    for rows in [1, 2] {
        for at in 0..=7 {
            for recovery_at in [0, 2, 4, 6] {
                let (_dir, lake) = lake();
                publish(&lake, "old", 1);
                let ended = die_replacing(&lake, rows, at);
                assert_eq!(ended, at == 7, "steps have changed");
                let _killed = recover_with(&lake, &mut stop_before(recovery_at, &mut 0));
                drop(recover(&lake).expect("recovered"));
                let state = live(&lake);
                if at == 0 {
                    assert_eq!(state[0].1, "old");
                } else {
                    assert_eq!(state[0].1, "new", "rows {rows}, {at}, {recovery_at}");
                    assert_eq!(replaced(&lake), ["old"]);
                }
                assert_eq!(state.len(), 1);
                assert!(is_clean(&lake));
            }
        }
    }
}

#[test]
fn what_is_published_together_is_there_together() {
    let pixel = tile().pixel;
    let read = |lake: &Lake| {
        let store = fs::read_to_string(lake.store(pixel)).unwrap_or_default();
        (live(lake).first().map(|(_, text)| text.clone()).unwrap_or_default(), store)
    };
    let both = |text: &str| (text.to_owned(), text.to_owned());
    for (is_first, rows) in [(true, 1), (false, 1), (false, 2)] {
        for at in 0..=13 {
            let (_dir, lake) = lake();
            let drafts = |text: &str, rows: u64| {
                let staging = Staging::open(&lake).expect("staging");
                let claims = [
                    staging.claim_store(pixel).expect("a claim"),
                    staging.claim(&spectra(), &tile()).expect("a claim"),
                ];
                for claim in &claims {
                    fs::write(claim.draft(), text).expect("a draft");
                }
                let [store, table] = &claims;
                let (intent, _) = store.intent(0, Uuid::now_v7()).expect("an intent");
                let (other, _) = table.intent(rows, Uuid::now_v7()).expect("an intent");
                (intent.and(other), claims)
            };
            if !is_first {
                let (_, [store, table]) = drafts("old", 1);
                let (ids, parts) = (Uuid::now_v7(), Uuid::now_v7());
                publish_together(&[(&store, 0, ids), (&table, 1, parts)]).expect("published");
                assert_eq!(read(&lake), both("old"));
            }
            let (intent, claims) = drafts("new", rows);
            let ended = replace(&lake, &intent, &mut stop_before(at, &mut 0));
            let was_begun = intent.path(&lake).exists() || ended.is_ok();
            // as a kill leaves the drafts
            let kept = was_begun.then_some(claims);
            drop(recover(&lake).expect("recovered"));
            drop(kept);
            let old = if is_first { both("") } else { both("old") };
            assert_eq!(read(&lake), if was_begun { both("new") } else { old }, "{at} {rows}");
            assert!(at > 0 || !was_begun, "nothing is begun before the intent");
        }
    }
}

#[test]
fn an_error_before_the_change_withdraws_it() {
    let (_dir, lake) = lake();
    publish(&lake, "old", 1);
    let staging = Staging::open(&lake).expect("staging");
    let draft = staging.dir().join("draft.parquet");
    fs::write(&draft, "new").expect("a draft");
    let target = lake.file(&spectra(), &FileName { tile: tile(), rows: 1 });
    let old = std::slice::from_ref(&target);
    let intent = Intent::new(lake.root(), Uuid::now_v7(), &draft, &target, old).expect("intent");
    assert!(replace(&lake, &intent, &mut stop_before(3, &mut 0)).is_err());
    drop(recover(&lake).expect("recovered"));
    assert_eq!(live(&lake)[0].1, "old");
}

#[test]
fn damaged_intents_harm_nothing() {
    let (_dir, lake) = lake();
    publish(&lake, "old", 1);
    make_dirs(&lake.private(INTENTS)).expect("made");
    let bad = lake.private(INTENTS).join("x.json");
    fs::write(&bad, "{").expect("written");
    assert_eq!(recover(&lake).expect("recovered").finished, 0);
    assert!(bad.exists() && live(&lake).len() == 1);
}
