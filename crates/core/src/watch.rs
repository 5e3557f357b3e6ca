//! Follows a lake: says when something in it may have changed, as the system notices it.
//!
//! What is noticed is only a hint that a sync is due; what there is, the sync sees for itself. So
//! nothing hangs on the order or the completeness of events: those of a burst are one hint, where some
//! were lost that is a hint too, and where there can be none, or none are to be trusted (another machine
//! writes to a shared disk), time is what tells.
//!
//! Watched are the products and the quarantine, not the rest of `.bifrost`. Reading causes events too, so
//! that a sync of a large lake may itself overflow the system's queue: where events were lost it is looked
//! before long, not at once, or each look would be the reason for the next.

use crate::layout::{Lake, PRIVATE};
use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch::{self, Receiver, Sender};
use tokio::time::{Instant, sleep, timeout_at};

/// So long nothing must happen before a burst counts as over.
const CALM: Duration = Duration::from_millis(500);
/// A burst that does not end is cut off.
const LONGEST: Duration = Duration::from_secs(10);
/// When to look after events were lost.
const AFTER_LOSS: Duration = Duration::from_secs(30);

/// Why to sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Something has changed.
    Changed,
    /// It is time to look.
    Due,
}

/// Notices changes in a lake.
#[derive(Debug)]
pub struct Follower {
    lake: Lake,
    eyes: Option<RecommendedWatcher>,
    /// Folders that are watched, by device and inode: another of the same name is another.
    watched: HashMap<PathBuf, (u64, u64)>,
    noticed: Receiver<Noticed>,
    /// What was noticed when the last wait ended.
    seen: Noticed,
    untold: Option<String>,
}

/// What was noticed so far.
#[derive(Debug, Clone, Default)]
struct Noticed {
    events: u64,
    /// How often events were lost.
    losses: u64,
    /// Why nothing more can be.
    failure: Option<String>,
}

impl Follower {
    /// Begins to follow a lake. Where the system cannot notify, time is what remains.
    #[must_use]
    pub fn new(lake: &Lake) -> Self {
        let (sender, noticed) = watch::channel(Noticed::default());
        let quarantine = lake.private("quarantine");
        let notice = move |event| take(&sender, &quarantine, event);
        let mut follower = Self {
            lake: lake.clone(),
            eyes: None,
            watched: HashMap::new(),
            noticed,
            seen: Noticed::default(),
            untold: None,
        };
        match notify::recommended_watcher(notice) {
            Ok(eyes) => follower.eyes = Some(eyes),
            Err(error) => follower.go_blind(&error.to_string()),
        }
        follower.look_around();
        follower
    }

    /// Why changes are not noticed, if they are not; it is told once.
    pub fn blindness(&mut self) -> Option<String> {
        self.untold.take()
    }

    /// Waits until something may have changed, or for so long; whatever comes from now on counts for
    /// the next time. Can be dropped while it waits.
    pub async fn wait(&mut self, longest: Duration) -> Wake {
        let mut due = Instant::now() + longest;
        let woken = loop {
            match timeout_at(due, self.noticed.changed()).await {
                Err(_) => break Wake::Due,
                // nobody is there who could notice something
                Ok(Err(_)) => {
                    tokio::time::sleep_until(due).await;
                    break Wake::Due;
                }
                Ok(Ok(())) => {
                    let now = self.noticed.borrow_and_update().clone();
                    if now.events > self.seen.events || now.failure.is_some() {
                        break self.calm().await;
                    }
                    due = due.min(Instant::now() + AFTER_LOSS);
                }
            }
        };
        self.seen = self.noticed.borrow_and_update().clone();
        if let Some(reason) = self.seen.failure.clone().filter(|_| self.eyes.is_some()) {
            self.go_blind(&reason);
        }
        self.look_around();
        woken
    }

    /// Waits for the end of a burst.
    async fn calm(&mut self) -> Wake {
        let latest = Instant::now() + LONGEST;
        while Instant::now() < latest {
            self.noticed.borrow_and_update();
            let calm = (Instant::now() + CALM).min(latest);
            match timeout_at(calm, self.noticed.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => sleep(CALM).await,
                Err(_) => break,
            }
        }
        Wake::Changed
    }

    /// Watches the products that there are, new ones too.
    fn look_around(&mut self) {
        let Some(eyes) = &mut self.eyes else { return };
        let mut failure = None;
        let mut watched = HashMap::new();
        for (place, mode) in places(&self.lake) {
            let Ok(about) = std::fs::metadata(&place) else { continue };
            let identity = (about.dev(), about.ino());
            if self.watched.get(&place) != Some(&identity)
                && let Err(error) = eyes.watch(&place, mode)
                && place.exists()
            {
                failure = Some(error.to_string());
            }
            watched.insert(place, identity);
        }
        self.watched = watched;
        if let Some(reason) = failure {
            self.go_blind(&reason);
        }
    }

    fn go_blind(&mut self, reason: &str) {
        self.eyes = None;
        self.untold = Some(reason.to_owned());
    }
}

/// What is watched: the lake's own folder for new products, each product, the quarantine.
fn places(lake: &Lake) -> Vec<(PathBuf, RecursiveMode)> {
    let mut places = vec![(lake.root().to_owned(), RecursiveMode::NonRecursive)];
    let entries = std::fs::read_dir(lake.root()).into_iter().flatten().flatten();
    let products = entries
        .filter(|entry| entry.file_name() != PRIVATE)
        .map(|entry| entry.path())
        .filter(|path| path.is_dir());
    places.extend(products.map(|path| (path, RecursiveMode::Recursive)));
    let quarantine = lake.private("quarantine");
    if quarantine.is_dir() {
        places.push((quarantine, RecursiveMode::NonRecursive));
    }
    places
}

/// Takes what the system tells.
fn take(sender: &Sender<Noticed>, quarantine: &Path, event: notify::Result<Event>) {
    match event {
        Ok(event) if event.need_rescan() => sender.send_modify(|noticed| noticed.losses += 1),
        Ok(event) if concerns(&event, quarantine) => {
            sender.send_modify(|noticed| noticed.events += 1);
        }
        Ok(_) => {}
        Err(error) => sender.send_modify(|noticed| noticed.failure = Some(error.to_string())),
    }
}

/// Whether an event may be about what a sync looks at: Parquet files, folders, the quarantine. What a
/// sync itself writes is none of these.
fn concerns(event: &Event, quarantine: &Path) -> bool {
    let is_change = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        EventKind::Modify(kind) => !matches!(kind, ModifyKind::Data(_)),
        _ => true,
    };
    let is_folders = matches!(
        event.kind,
        EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder)
    );
    if !is_change {
        return false;
    }
    // whoever made it may still write: when that is closed there is another event
    if event.kind == EventKind::Create(CreateKind::File) {
        return event.paths.iter().any(|path| is_link(path));
    }
    event.paths.iter().any(|path| {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let is_parquet =
            ["parquet", "parq", "pq"].iter().any(|known| extension.eq_ignore_ascii_case(known));
        // what went may have been a folder, if its name does not look like a file's
        let may_be_folder = || path.is_dir() || (extension.is_empty() && !path.exists());
        is_folders || is_parquet || path.starts_with(quarantine) || may_be_folder()
    })
}

/// Whether a file came into being whole, as a name of another.
fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink() || about.nlink() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const SOON: Duration = Duration::from_secs(60);

    fn followed() -> (tempfile::TempDir, Lake, Follower) {
        let folder = tempfile::tempdir().expect("a folder");
        let lake = Lake::open_or_create(folder.path(), "here").expect("a lake");
        fs::create_dir_all(folder.path().join("p/a/b")).expect("made");
        let mut follower = Follower::new(&lake);
        assert_eq!(follower.blindness(), None);
        (folder, lake, follower)
    }

    #[tokio::test]
    async fn files_and_folders_that_come_change_and_go_are_noticed() {
        let (_folder, lake, mut follower) = followed();
        let root = lake.root();
        let path = |name: &str| root.join(name);
        type Change<'a> = Box<dyn Fn() -> std::io::Result<()> + 'a>;
        let changes: Vec<(&str, Change)> = vec![
            ("a file", Box::new(|| fs::write(path("p/a/b/x.parquet"), "x"))),
            ("the same again", Box::new(|| fs::write(path("p/a/b/x.parquet"), "y"))),
            ("a rename", Box::new(|| fs::rename(path("p/a/b/x.parquet"), path("p/y.PQ")))),
            ("a removal", Box::new(|| fs::remove_file(path("p/y.PQ")))),
            ("a folder moves", Box::new(|| fs::rename(path("p/a"), path("p/c")))),
            ("in a folder that moved", Box::new(|| fs::write(path("p/c/b/x.parquet"), "x"))),
            (
                "a hard link",
                Box::new(|| fs::hard_link(path("p/c/b/x.parquet"), path("p/z.parquet"))),
            ),
            ("a folder goes", Box::new(|| fs::remove_dir_all(path("p/c")))),
            ("a product comes", Box::new(|| fs::create_dir(path("q")))),
            ("a file in it", Box::new(|| fs::write(path("q/x.parquet"), "x"))),
            ("the quarantine", Box::new(|| fs::create_dir_all(lake.private("quarantine")))),
        ];
        for (what, change) in changes {
            if what == "the quarantine" {
                // it is seen only once it is there, as all that is private
                change().expect(what);
                follower.look_around();
                fs::write(lake.private("quarantine").join("t.json"), "{}").expect(what);
            } else {
                change().expect(what);
            }
            assert_eq!(follower.wait(SOON).await, Wake::Changed, "{what}");
        }
    }

    #[tokio::test]
    async fn what_is_no_data_and_what_only_reads_wakes_nobody() {
        let (_folder, lake, mut follower) = followed();
        fs::write(lake.root().join("p/a/x.parquet"), "x").expect("written");
        assert_eq!(follower.wait(SOON).await, Wake::Changed);
        fs::write(lake.root().join("DATA_README.md"), "x").expect("written");
        fs::write(lake.root().join("p/properties"), "x").expect("written");
        fs::write(lake.private("lake.new"), "x").expect("written");
        fs::create_dir_all(lake.private("staging/x.parquet")).expect("made");
        fs::read(lake.root().join("p/a/x.parquet")).expect("read");
        assert_eq!(fs::read_dir(lake.root().join("p/a/b")).expect("listed").count(), 0);
        assert_eq!(follower.wait(CALM * 2).await, Wake::Due);
    }

    #[tokio::test]
    async fn a_burst_is_one_wake() {
        let (_folder, lake, mut follower) = followed();
        for number in 0..500 {
            fs::write(lake.root().join(format!("p/a/{number}.parquet")), "x").expect("written");
        }
        assert_eq!(follower.wait(SOON).await, Wake::Changed);
        assert_eq!(follower.wait(CALM * 2).await, Wake::Due);
    }

    #[tokio::test]
    async fn whoever_cannot_see_says_so_once_and_goes_by_time() {
        let (_folder, lake, mut follower) = followed();
        follower.go_blind("no more watches");
        assert_eq!(follower.blindness().as_deref(), Some("no more watches"));
        assert_eq!(follower.blindness(), None);
        fs::write(lake.root().join("p/x.parquet"), "x").expect("written");
        assert_eq!(follower.wait(Duration::from_millis(1)).await, Wake::Due);
        assert_eq!(follower.wait(Duration::from_millis(1)).await, Wake::Due);
        assert_eq!(follower.blindness(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn where_events_were_lost_it_is_looked_before_long() {
        let (_folder, _lake, mut follower) = followed();
        let (sender, noticed) = watch::channel(Noticed::default());
        follower.noticed = noticed;
        let lost = || Ok(Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan));
        let began = Instant::now();
        take(&sender, Path::new("/q"), lost());
        assert_eq!(follower.wait(SOON * 60).await, Wake::Due);
        assert_eq!(began.elapsed().as_secs(), AFTER_LOSS.as_secs());
        take(&sender, Path::new("/q"), Err(notify::Error::generic("full")));
        assert_eq!(follower.wait(SOON * 60).await, Wake::Changed);
        assert_eq!(follower.blindness().as_deref(), Some("full"));
    }
}
