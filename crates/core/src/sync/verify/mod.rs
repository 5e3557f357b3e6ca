//! Verification: the registry is held against the disk, and what is on the disk against what it
//! should be.
//!
//! A lake is walked and compared as by a sync, under the lake's turn and within moments. The deep
//! look, which reads every byte, has no turn to keep: files are read in parallel, some hundred at a
//! time, and one that changes meanwhile is left to the comparison. A repair brings the registry into
//! line and touches no file: what is missing, changed or unknown is synced, what is damaged is
//! quarantined with its reason.

mod file;
mod rows;

use super::difference::Difference;
use super::{Error, Options, Progress, Step, run_blocking, settle};
use crate::footer::Schemas;
use crate::layout::Lake;
use crate::patience::{OF_A_COMMAND, patiently};
use crate::registry::{Changes, End, KnownRow, LakeSession, Registry};
use crate::{VERSION, hats};
use file::Checked;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Files that are read before the registry is asked again.
const CHUNK_FILES: usize = 256;
/// Findings that are listed; all are counted.
const LISTED: usize = 10_000;

/// What to look at, and what to do about it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Read the files.
    pub deep: bool,
    /// Read only so many of them, drawn by lot.
    pub sample: Option<usize>,
    /// What the lot is drawn with.
    pub seed: u64,
    /// Bring the registry into line.
    pub repair: bool,
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is registered and not there.
    Missing,
    /// It is there with another size, time or inode.
    Changed,
    /// It is there and not registered.
    Unknown,
    /// It is not what it should be.
    Damaged,
    /// What it holds is held by another, too.
    Duplicate,
    /// It could not be looked at: the system refused.
    Unread,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// With which file or folder, relative to the lake.
    pub path: String,
    /// In words.
    pub what: String,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Version of this report's form.
    pub version: u32,
    /// The lake.
    pub lake_id: uuid::Uuid,
    /// The node.
    pub node: String,
    /// Files on the disk.
    pub files: u64,
    /// Files that were read from the first byte to the last.
    pub files_read: u64,
    /// Their size.
    pub bytes_read: i64,
    /// What the sample was drawn with, if it was one.
    pub seed: Option<u64>,
    /// How much is wrong, by kind.
    pub wrong: BTreeMap<Kind, u64>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Findings beyond those that are listed.
    pub findings_left_out: u64,
    /// Files that the registry knows to be unreadable, and that are as they were.
    pub still_quarantined: u64,
    /// Commits of the repair.
    pub commits: Vec<i64>,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.wrong.is_empty()
    }

    fn find(&mut self, kind: Kind, path: impl Into<String>, what: impl Into<String>) {
        *self.wrong.entry(kind).or_default() += 1;
        if self.findings.len() < LISTED {
            self.findings.push(Finding { kind, path: path.into(), what: what.into() });
        } else {
            self.findings_left_out += 1;
        }
    }
}

/// Verifies a lake.
///
/// # Errors
/// [`Error`]; a repair that was begun has made whole commits only.
pub async fn run(
    registry: &Registry,
    lake: &Lake,
    request: &Request,
    options: &Options,
    progress: Progress,
) -> Result<Report, Error> {
    let start = Instant::now();
    let lake_id = lake.identity().lake_id;
    let mut report =
        Report { version: 1, lake_id, node: options.node.clone(), ..Report::default() };
    let differs = compare(registry, lake, &mut report).await?;
    if request.repair && differs {
        let sync = || super::run(registry, lake, options, progress.clone());
        let synced = patiently(OF_A_COMMAND, sync).await?;
        report.commits.extend(synced.commit);
        for file in synced.quarantined {
            report.find(Kind::Damaged, file.path, file.reason);
        }
    }
    if request.deep {
        look_deep(registry, lake, request, options, &progress, &mut report).await?;
        let duplicates = patiently(OF_A_COMMAND, || registry.duplicates(lake_id, LISTED as i64));
        for two in duplicates.await? {
            let what = format!(
                "{} objects are held more than once (one is {}), by {}",
                two.objects, two.target_id, two.paths
            );
            report.find(Kind::Duplicate, two.path, what);
        }
    }
    if !report.commits.is_empty() {
        hats::refresh(registry, lake).await?;
    }
    report.findings.sort_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// Holds the registry against a walk; says whether a sync would find something to do.
async fn compare(registry: &Registry, lake: &Lake, report: &mut Report) -> Result<bool, Error> {
    let session = registry.lock_lake(lake.identity().lake_id).await?;
    let (mut listing, _) = super::look(lake).await?;
    listing.leave(settle::folders_under_way(&session).await?);
    listing.sort();
    report.files = listing.files.len() as u64;
    let found = Difference::find(&listing, session.current_files().await?, None).await?;
    report.still_quarantined = found.still_quarantined;
    for (folder, why) in &listing.unread {
        report.find(Kind::Unread, folder, why);
    }
    for fresh in &found.fresh {
        let (kind, what) = match fresh.predecessor {
            Some(_) => (Kind::Changed, "has another size, time or inode than was registered"),
            None => (Kind::Unknown, "is not registered"),
        };
        report.find(kind, &fresh.seen.path, what);
    }
    let gone: Vec<i64> = found.vanished.iter().map(|gone| gone.file_id).collect();
    for ids in gone.chunks(CHUNK_FILES) {
        for known in registry.known_files(ids).await? {
            let was = if known.is_live { "live" } else { "quarantined" };
            report.find(Kind::Missing, known.path, format!("is registered as {was} and not there"));
        }
    }
    for (path, fault) in session.faults().await? {
        report.find(Kind::Duplicate, path, fault);
    }
    Ok(!found.is_empty())
}

async fn look_deep(
    registry: &Registry,
    lake: &Lake,
    request: &Request,
    options: &Options,
    progress: &Progress,
    report: &mut Report,
) -> Result<(), Error> {
    let mut ids = registry.verify_ids(lake.identity().lake_id).await?;
    if let Some(size) = request.sample {
        ids = sample(ids, size, request.seed);
        report.seed = Some(request.seed);
    }
    let total = ids.len() as u64;
    let schemas = Arc::new(Schemas::default());
    for (chunk, first) in ids.chunks(CHUNK_FILES).zip((0..).step_by(CHUNK_FILES)) {
        let known = patiently(OF_A_COMMAND, || registry.known_files(chunk)).await?;
        let live = known.into_iter().filter(|known| known.is_live).collect();
        let mut damaged = Vec::new();
        for (known, checked) in check_all(lake, live, first, total, &schemas, progress).await {
            if matches!(checked, Checked::Sound | Checked::Damaged(_)) {
                report.files_read += 1;
                report.bytes_read += known.version.size_bytes;
            }
            match checked {
                Checked::Sound | Checked::Other => {}
                Checked::Unread(what) => report.find(Kind::Unread, &known.path, what),
                Checked::Damaged(what) => {
                    report.find(Kind::Damaged, &known.path, &what);
                    damaged.push((known, what));
                }
            }
        }
        if request.repair && !damaged.is_empty() {
            let condemned = patiently(OF_A_COMMAND, || condemn(registry, lake, options, &damaged));
            report.commits.extend(condemned.await?);
        }
    }
    Ok(())
}

/// So many of the files: those that a keyed hash puts first.
fn sample(mut ids: Vec<i64>, size: usize, seed: u64) -> Vec<i64> {
    if size < ids.len() {
        let lot = |id: &i64| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&seed.to_le_bytes()).update(&id.to_le_bytes());
            *hasher.finalize().as_bytes()
        };
        ids.select_nth_unstable_by_key(size, lot);
        ids.truncate(size);
        ids.sort_unstable();
    }
    ids
}

async fn check_all(
    lake: &Lake,
    known: Vec<KnownRow>,
    first: u64,
    total: u64,
    schemas: &Arc<Schemas>,
    progress: &Progress,
) -> Vec<(KnownRow, Checked)> {
    let (root, schemas, progress) = (lake.root().to_owned(), schemas.clone(), progress.clone());
    run_blocking(move || {
        let done = std::sync::atomic::AtomicU64::new(first);
        let look = |known: KnownRow| {
            let checked = file::check(&root, &known, &schemas);
            let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            progress(Step::Files { done, total });
            (known, checked)
        };
        known.into_par_iter().map(look).collect()
    })
    .await
}

/// Quarantines damaged files that are still what was read, in one commit.
async fn condemn(
    registry: &Registry,
    lake: &Lake,
    options: &Options,
    damaged: &[(KnownRow, String)],
) -> Result<Option<i64>, Error> {
    let mut session = registry.lock_lake(lake.identity().lake_id).await?;
    let Some(known) = session.lake().await? else { return Ok(None) };
    let there = |(row, _): &&(KnownRow, String)| {
        let now = crate::withdraw::Version::of(&lake.root().join(&row.path));
        now.is_ok_and(|now| now == Some(row.version))
    };
    let damaged: Vec<_> = damaged.iter().filter(there).collect();
    quarantine(&mut session, &damaged, &options.node, &known.root).await
}

async fn quarantine(
    session: &mut LakeSession,
    damaged: &[&(KnownRow, String)],
    node: &str,
    root: &str,
) -> Result<Option<i64>, Error> {
    let commit = session.begin_commit().await?;
    let ids: Vec<i64> = damaged.iter().map(|(row, _)| row.file_id).collect();
    let condemned = commit.condemned(&ids).await?;
    if condemned.is_empty() {
        return Ok(None);
    }
    let ids: Vec<i64> = condemned.iter().map(|row| row.file_id).collect();
    let cataloged: Vec<i64> =
        condemned.iter().filter(|row| row.in_catalog).map(|row| row.file_id).collect();
    for (row, what) in damaged.iter().filter(|(row, _)| ids.contains(&row.file_id)) {
        let reason = format!(
            "{what}; make it again (bifrost failures --requeue and run, or convert or stage run with --force), \
             or put a good copy in its place"
        )
            .replace('\0', "\u{fffd}");
        commit.quarantine(row.file_id, &reason).await?;
    }
    commit.delete_bounds(&ids).await?;
    commit.delete_facts(&cataloged).await?;
    let changes = Changes {
        files_quarantined: ids.len() as i64,
        rows_removed: condemned.iter().map(|row| row.num_rows).sum(),
        bytes_removed: condemned.iter().map(|row| row.size_bytes).sum(),
        catalog_removed: commit.uncatalog(&cataloged).await?,
        ..Changes::default()
    };
    let pixels: Vec<i32> = condemned.iter().filter_map(|row| row.pixel).collect();
    commit.mark_faults(Some(&pixels)).await?;
    let number = commit.number();
    let end = End {
        node,
        root,
        program: &format!("bifrost {VERSION}"),
        action: "verify",
        key: None,
        has_moved: false,
        changes,
        listing_digest: None,
        catalog_digest: None,
    };
    commit.finish(&end).await?;
    Ok(Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_as_large_as_asked_and_drawn_by_its_seed() {
        let ids: Vec<i64> = (0..1000).collect();
        let drawn = sample(ids.clone(), 100, 1);
        assert_eq!(drawn.len(), 100);
        assert!(drawn.is_sorted_by(|a, b| a < b));
        assert_eq!(drawn, sample(ids.clone(), 100, 1));
        assert_ne!(drawn, sample(ids.clone(), 100, 2));
        assert_eq!(sample(ids.clone(), 5000, 1), ids);
    }
}
