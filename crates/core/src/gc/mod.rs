//! Deletion, the only one: what nobody needs any more leaves a lake in three steps.
//!
//! A file is *marked* in the registry; after a grace period it is *moved* into `.bifrost/gc/`; after
//! another it is *unlinked*. Each step is one that somebody consented to, each run takes a file one
//! step further at most, and what a saved snapshot names is kept, and brought back if it was moved.
//! A file of the lake's products is never touched: what is here was replaced or set aside before.
//!
//! Disk and registry are two systems. The place of a file says which side of a crash it is on: what
//! was renamed and not noted is noted by the next run, and its grace begins then; what is to be
//! unlinked is noted first, so that a file that is gone is known to have been deleted, not lost.

mod scan;

use crate::layout::Lake;
use crate::patience::{OF_A_COMMAND, patiently};
use crate::publish::{self, Quiet, RUN, Running, flush_dir, forgive, make_dirs};
use crate::registry::{self, GcStep, LakeSession, MarkRow, NewMark, Registry};
use crate::withdraw::Version;
use chrono::{DateTime, Utc};
pub use scan::Kind;
use scan::{Found, MOVED};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How far one may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consent {
    /// Only say what would be done.
    Nothing,
    /// Mark files.
    Mark,
    /// And move those whose first grace is over.
    Move,
    /// And unlink those whose second grace is over.
    Unlink,
}

/// What is to become of a file now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is marked.
    Mark,
    /// It is marked, and its grace is not over.
    Wait,
    /// It is moved into `.bifrost/gc`.
    Move,
    /// It is unlinked.
    Unlink,
    /// It stays: a snapshot names it.
    Keep,
    /// It stays: the registry believes that it is in the lake, until a sync.
    Sync,
    /// It goes back to where it lay: a snapshot names it.
    Return,
    /// It was renamed by a run that died: that is noted.
    Note,
    /// It was unlinked by a run that died: that is noted.
    Finish,
    /// It stays, or somebody has taken it: its mark is struck.
    Strike,
}

/// A file, and what is to become of it.
#[derive(Debug, Clone, Serialize)]
pub struct Item {
    /// Relative to `.bifrost`.
    pub path: String,
    /// Why it may go.
    pub kind: Kind,
    /// Its size.
    pub size_bytes: i64,
    /// What is to become of it.
    pub action: Action,
    /// Whether that was done.
    pub done: bool,
    /// When its grace is over.
    pub due_at: Option<DateTime<Utc>>,
    /// The snapshot that keeps it.
    pub snapshot: Option<String>,
    #[serde(skip)]
    version: Version,
}

/// What was found and done.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of this report's form.
    pub version: u32,
    /// The lake.
    pub lake_id: uuid::Uuid,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// The files, by path.
    pub items: Vec<Item>,
}

/// Why it could not be done. What was begun is finished by the next run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Files(#[from] publish::Error),
    /// The registry refused.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// A campaign is at work in the lake, and what looks left over may be in use.
    #[error("a campaign is at work in the lake: run gc when it has ended")]
    AtWork,
}

/// Takes files one step further, as far as there is consent; with none, says what would be done.
///
/// # Errors
/// [`Error`]; it may be called again.
pub async fn run(
    registry: &Registry,
    lake: &Lake,
    grace: Duration,
    consent: Consent,
) -> Result<Report, Error> {
    // looking may be done twice; whoever has begun to act leaves the rest to the next run
    let look = || look(registry, lake, grace, consent);
    let (mut session, _alone, mut items) = patiently(OF_A_COMMAND, look).await?;
    if consent != Consent::Nothing && !items.is_empty() {
        apply(lake, &mut session, consent, &mut items).await?;
    }
    let lake_id = lake.identity().lake_id;
    Ok(Report { version: 1, lake_id, dry_run: consent == Consent::Nothing, items })
}

/// Nobody else is at work while these are held; of whoever only looks there is none.
type Alone = Option<(Running, Quiet)>;

/// Waits for the lake's turn and finds what may go.
async fn look(
    registry: &Registry,
    lake: &Lake,
    grace: Duration,
    consent: Consent,
) -> Result<(LakeSession, Alone, Vec<Item>), Error> {
    let session = registry.lock_lake(lake.identity().lake_id).await?;
    let alone = match consent {
        Consent::Nothing => None,
        _ => {
            let running = Running::begin(lake, RUN)?.ok_or(Error::AtWork)?;
            // publications wait until this is done
            Some((running, publish::recover(lake)?))
        }
    };
    let tiles = session.intents().await?.into_iter().map(|intent| intent.publish_id);
    let stores = session.store_intents().await?.into_iter().map(|intent| intent.publish_id);
    let kept: Vec<String> = tiles.chain(stores).map(|id| id.to_string()).collect();
    let (here, there) = (scan::candidates(lake, &kept)?, scan::moved(lake)?);
    let marks = session.gc_marks(grace.as_secs_f64()).await?;
    let items = plan(lake, &session, here, there, marks).await?;
    Ok((session, alone, items))
}

/// What is to become of each file that may go, that is marked, or that was moved.
async fn plan(
    lake: &Lake,
    session: &LakeSession,
    here: Found,
    there: Found,
    marks: Vec<MarkRow>,
) -> Result<Vec<Item>, Error> {
    let mut marks: HashMap<String, MarkRow> =
        marks.into_iter().map(|mark| (mark.path.clone(), mark)).collect();
    // what was moved comes before another file that has its old place since
    let mut files: BTreeMap<String, (Kind, Version)> = here.clone();
    files.extend(there.clone());
    files.extend(marks.values().map(|m| (m.path.clone(), (Kind::named(&m.kind), m.version))));
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let versions: Vec<Version> = files.values().map(|(_, version)| *version).collect();
    let mut pins = session.pins(versions.iter().copied()).await?;
    let believed = session.believed(versions.iter().copied()).await?;
    let mut items = Vec::new();
    for (place, (path, (kind, version))) in files.into_iter().enumerate() {
        let mark = marks.remove(&path);
        let snapshot = pins.remove(&place);
        let is_candidate = here.get(&path).is_some_and(|(_, v)| *v == version);
        let is_here = match is_candidate {
            true => true,
            false => Version::of(&lake.private(&path))? == Some(version),
        };
        let is_there = there.get(&path).is_some_and(|(_, v)| *v == version);
        let state = State {
            is_candidate,
            is_here,
            is_there,
            is_pinned: snapshot.is_some(),
            is_believed: believed.contains(&place),
        };
        let due_at = mark.as_ref().map(|m| m.due_at);
        let action = state.action(mark.as_ref());
        let size_bytes = version.size_bytes;
        items.push(Item { path, kind, size_bytes, action, done: false, due_at, snapshot, version });
    }
    Ok(items)
}

/// Where a file is.
#[derive(Debug, Clone, Copy)]
struct State {
    /// Whether it lies where it lay, and may go.
    is_candidate: bool,
    /// Whether it lies where it lay.
    is_here: bool,
    /// Whether it lies in the folder of what was moved.
    is_there: bool,
    is_pinned: bool,
    /// Whether the registry believes that it is in the lake.
    is_believed: bool,
}

impl State {
    fn action(self, mark: Option<&MarkRow>) -> Action {
        let Some(mark) = mark else {
            return match self {
                Self { is_believed: true, .. } => Action::Sync,
                Self { is_pinned: true, is_there: true, .. } => Action::Return,
                Self { is_pinned: true, .. } => Action::Keep,
                // a registry that was made anew knows nothing of it
                Self { is_there: true, .. } => Action::Note,
                _ => Action::Mark,
            };
        };
        match mark.step {
            GcStep::Unlinking if self.is_there => Action::Unlink,
            GcStep::Unlinking => Action::Finish,
            _ if self.is_believed && (self.is_here || self.is_there) => Action::Sync,
            _ if self.is_there && self.is_pinned => Action::Return,
            GcStep::Moved if self.is_there && mark.is_due => Action::Unlink,
            GcStep::Moved if self.is_there => Action::Wait,
            GcStep::Moved => Action::Strike,
            GcStep::Marked if self.is_there => Action::Note,
            GcStep::Marked if !self.is_here || !self.is_candidate || self.is_pinned => {
                Action::Strike
            }
            GcStep::Marked if mark.is_due => Action::Move,
            GcStep::Marked => Action::Wait,
        }
    }
}

/// Does what there is consent to. What was moved is unlinked before more is moved, and that before
/// more is marked: a file takes one step.
async fn apply(
    lake: &Lake,
    session: &mut LakeSession,
    consent: Consent,
    items: &mut [Item],
) -> Result<(), Error> {
    tidy(lake, session, items).await?;
    if consent >= Consent::Unlink {
        unlink(lake, session, items).await?;
    }
    if consent >= Consent::Move {
        let moving = paths(items, Action::Move);
        for path in &moving {
            rename(&lake.private(path), &place_of_moved(lake, path))?;
        }
        session.gc_moved(&borrowed(&moving)).await?;
        settle(items, Action::Move, &moving);
    }
    let marking = paths(items, Action::Mark);
    session.gc_mark(&new_marks(items, Action::Mark)).await?;
    settle(items, Action::Mark, &marking);
    Ok(())
}

/// Notes what dead runs have done, and brings back what is needed after all.
async fn tidy(lake: &Lake, session: &LakeSession, items: &mut [Item]) -> Result<(), Error> {
    let returning = paths(items, Action::Return);
    for path in &returning {
        rename(&place_of_moved(lake, path), &lake.private(path))?;
    }
    let struck = paths(items, Action::Strike);
    session.gc_strike(&borrowed(&[returning.clone(), struck.clone()].concat())).await?;
    let noted = paths(items, Action::Note);
    session.gc_mark(&new_marks(items, Action::Note)).await?;
    session.gc_moved(&borrowed(&noted)).await?;
    let finished = paths(items, Action::Finish);
    session.gc_unlinked(&borrowed(&finished)).await?;
    settle(items, Action::Return, &returning);
    settle(items, Action::Strike, &struck);
    settle(items, Action::Note, &noted);
    settle(items, Action::Finish, &finished);
    Ok(())
}

/// Unlinks what nobody has pinned meanwhile.
async fn unlink(lake: &Lake, session: &mut LakeSession, items: &mut [Item]) -> Result<(), Error> {
    let due = paths(items, Action::Unlink);
    session.gc_decide(&borrowed(&due)).await?;
    // those that an earlier run decided on are among the due, and are decided still
    let decided: Vec<String> = session
        .gc_marks(0.0)
        .await?
        .into_iter()
        .filter(|mark| mark.step == GcStep::Unlinking && due.contains(&mark.path))
        .map(|mark| mark.path)
        .collect();
    for path in &decided {
        let place = place_of_moved(lake, path);
        forgive(fs::remove_file(&place), io::ErrorKind::NotFound)
            .map_err(publish::Error::new("unlink", &place))?;
        remove_empty(&place);
    }
    session.gc_unlinked(&borrowed(&decided)).await?;
    settle(items, Action::Unlink, &decided);
    Ok(())
}

fn paths(items: &[Item], action: Action) -> Vec<String> {
    items.iter().filter(|item| item.action == action).map(|item| item.path.clone()).collect()
}

fn borrowed(paths: &[String]) -> Vec<&str> {
    paths.iter().map(String::as_str).collect()
}

fn new_marks(items: &[Item], action: Action) -> Vec<NewMark<'_>> {
    let is_moved = action == Action::Note;
    let chosen = items.iter().filter(|item| item.action == action);
    let new = chosen.map(|Item { path, kind, version, .. }| NewMark {
        path,
        kind: kind.name(),
        version: *version,
        is_moved,
    });
    new.collect()
}

/// Notes that something was done.
fn settle(items: &mut [Item], action: Action, done: &[String]) {
    let done: std::collections::HashSet<&String> = done.iter().collect();
    let of_these = items.iter_mut().filter(|item| item.action == action);
    of_these.for_each(|item| item.done = done.contains(&item.path));
}

fn place_of_moved(lake: &Lake, path: &str) -> PathBuf {
    lake.private(MOVED).join(path)
}

/// Renames a file, durably, never over another. A file that is gone is noticed by the next run.
fn rename(from: &Path, to: &Path) -> Result<(), publish::Error> {
    let folder = to.parent().unwrap_or(to);
    make_dirs(folder).map_err(publish::Error::new("make", folder))?;
    if to.exists() {
        return Ok(());
    }
    forgive(fs::rename(from, to), io::ErrorKind::NotFound)
        .map_err(publish::Error::new("move", from))?;
    flush_dir(folder).map_err(publish::Error::new("flush", folder))?;
    let left = from.parent().unwrap_or(from);
    flush_dir(left).map_err(publish::Error::new("flush", left))?;
    remove_empty(from);
    Ok(())
}

/// Removes the folder that a file was in, if nothing else is.
fn remove_empty(file: &Path) {
    if let Some(folder) = file.parent().filter(|folder| !is_top(folder)) {
        // what is not empty stays
        let _ = fs::remove_dir(folder);
    }
}

/// Folders of `.bifrost` itself stay.
fn is_top(folder: &Path) -> bool {
    folder.parent().and_then(Path::file_name).is_some_and(|name| name == crate::layout::PRIVATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(step: GcStep, is_due: bool) -> MarkRow {
        let version = Version { size_bytes: 1, mtime_ns: 1, inode: 1 };
        let (path, kind) = ("replaced/x/y".to_owned(), "replaced".to_owned());
        MarkRow { path, kind, version, step, due_at: Utc::now(), is_due }
    }

    #[test]
    fn nothing_is_unlinked_but_what_was_moved_and_is_due_and_not_pinned() {
        let flags = [false, true];
        let steps = [GcStep::Marked, GcStep::Moved, GcStep::Unlinking];
        for (is_here, is_there) in [(false, false), (true, false), (false, true)] {
            for (is_pinned, is_believed) in
                [(false, false), (true, false), (false, true), (true, true)]
            {
                let is_candidate = is_here;
                let state = State { is_candidate, is_here, is_there, is_pinned, is_believed };
                let stays = is_pinned || is_believed;
                let unmarked = state.action(None);
                assert!(unmarked != Action::Unlink && unmarked != Action::Move);
                for step in steps {
                    for is_due in flags {
                        let action = state.action(Some(&mark(step, is_due)));
                        let decided = step == GcStep::Unlinking;
                        let may = decided || (step == GcStep::Moved && is_due && !stays);
                        assert_eq!(action == Action::Unlink, may && is_there, "{state:?} {step:?}");
                        let may = step == GcStep::Marked && is_due && !stays && is_here;
                        assert_eq!(action == Action::Move, may, "{state:?} {step:?}");
                    }
                }
            }
        }
    }
}
