//! Sync: the registry learns what is in a lake.
//!
//! Walk the lake, compare with the registry, read the footers of what is new, fill the catalog: all
//! that changed is one numbered commit, one transaction, so that whoever reads the registry sees
//! the lake before or after and a crash anywhere leaves it before. Where nothing changed, no file
//! is opened and nothing is written but the time at which the node was seen.
//!
//! Two locks keep order. Syncs of one lake take turns (a lock of the database, held by the
//! session). Commits of all lakes take turns (a lock held by the transaction), because they are
//! numbered in the order in which they become visible and because objects are shared by lakes.

mod catalog;
mod derived;
mod difference;
mod direct;
mod inspect;
mod register;
mod settle;
#[cfg(feature = "simulate")]
pub mod simulated;
pub mod verify;
mod walk;

use crate::blocking::run_blocking;
use crate::layout::Lake;
use crate::quarantine::{self, Record};
use crate::registry::{self, Changes, Commit, End, LakeRow, LakeSession, OutcomeRow, Registry};
use crate::{VERSION, hats, publish};
pub use derived::{Derived, Landed, publish_derived};
use difference::{Difference, Gone};
pub use direct::{Bundle, Ended, Shard, Site, StoreDraft, publish};
use register::Registrar;
use serde::Serialize;
pub use settle::{Settled, clear_made, forget, settle};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use walk::Listing;

/// More changed tiles than this are not looked at one by one.
const FEW_PIXELS: usize = 1000;
/// More new files than this are analyzed at once.
const MANY_FILES: usize = 1000;

/// What a sync is asked to do.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Name of the machine.
    pub node: String,
    /// Products whose rows belong into the catalog; `None` leaves the catalog to a later sync.
    pub catalog: Option<Vec<String>>,
    /// How the node's files can be opened from elsewhere; `None` leaves it as it is.
    pub uri_prefixes: Option<Vec<String>>,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Idempotency key: where the lake has a commit of this key, nothing is done.
    pub key: Option<String>,
}

/// How far a sync is.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// Footers read.
    Files {
        /// So many.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// Rows cataloged.
    Rows {
        /// So many.
        done: u64,
        /// Of so many.
        total: u64,
    },
}

/// Is told how far a sync is.
pub type Progress = Arc<dyn Fn(Step) + Send + Sync>;

/// A file that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// Relative to the lake.
    pub path: String,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

/// What a sync did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Version of this report's form.
    pub version: u32,
    /// Number of the commit; none where nothing changed.
    pub commit: Option<i64>,
    /// The commit that has the key already: nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<i64>,
    /// The lake.
    pub lake_id: uuid::Uuid,
    /// The node.
    pub node: String,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Files in the lake.
    pub files: u64,
    /// Footers that were read.
    pub files_opened: u64,
    /// What changed.
    #[serde(flatten)]
    pub changes: Changes,
    /// Files that this run set aside.
    pub quarantined: Vec<Quarantined>,
    /// Files set aside by earlier runs that are still as they were.
    pub still_quarantined: u64,
    /// Files that changed while they were read; the next sync takes them.
    pub unsettled: Vec<String>,
    /// Folders that could not be read; what is known of them stays as it was.
    pub unread: Vec<String>,
    /// Live files with which something is wrong.
    pub faults: Vec<Fault>,
    /// Products whose HATS catalog changed.
    pub hats: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

/// A live file with which something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Relative to the lake.
    pub path: String,
    /// What is wrong.
    pub fault: String,
}

/// Why a sync failed. What it had begun is undone.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lake's folder cannot be listed.
    #[error("failed to walk {}: {source}", path.display())]
    Walk {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Publications of dead processes cannot be finished.
    #[error(transparent)]
    Publish(#[from] publish::Error),
    /// The quarantine cannot be read.
    #[error(transparent)]
    Quarantine(#[from] quarantine::Error),
    /// The registry refused.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The registry is up to date, the products' HATS catalogs are not.
    #[error(transparent)]
    Hats(#[from] hats::Error),
}

/// Brings the registry up to date with a lake, and the lake's HATS catalogs with the registry.
///
/// # Errors
/// [`Error`]; the registry is then as it was before.
pub async fn run(
    registry: &Registry,
    lake: &Lake,
    options: &Options,
    progress: Progress,
) -> Result<Report, Error> {
    let start = Instant::now();
    let lake_id = lake.identity().lake_id;
    let mut session = registry.lock_lake(lake_id).await?;
    if let Some(key) = &options.key
        && let Some(commit) = session.commit_of_key(key).await?
    {
        let (node, repeats) = (options.node.clone(), Some(commit));
        return Ok(Report { version: 1, lake_id, node, repeats, ..Report::default() });
    }
    if !options.dry_run {
        settle::settle_idle(&mut session, registry, lake, options).await?;
    }
    let (mut listing, outcomes_digest) = look(lake).await?;
    listing.leave(settle::folders_under_way(&session).await?);
    let mut report = Report {
        version: 1,
        lake_id,
        node: options.node.clone(),
        dry_run: options.dry_run,
        files: listing.files.len() as u64,
        unread: listing.unread.iter().map(|(folder, why)| format!("{folder}: {why}")).collect(),
        ..Report::default()
    };
    let digests = Digests::of(&listing, &outcomes_digest, options);
    if !options.dry_run {
        session.see_node(&options.node, options.uri_prefixes.as_deref()).await?;
    }
    let known = session.lake().await?;
    let root = lake.root().to_string_lossy();
    let has_moved = known.as_ref().is_some_and(|k| k.node != options.node || k.root != root);
    let is_same = known.as_ref().is_some_and(|k| digests.agree(k)) && !has_moved;
    if is_same {
        report.still_quarantined = session.still_quarantined().await?;
    } else {
        let action = "sync";
        let update = Update { lake, options, progress, known, digests, has_moved, action };
        update.compare(&mut session, listing, &mut report).await?;
    }
    let faults = session.faults().await?;
    report.faults = faults.into_iter().map(|(path, fault)| Fault { path, fault }).collect();
    if !options.dry_run {
        report.hats = hats::refresh_with(session.hats(), lake).await?;
    }
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// Walks the lake while nothing is being published.
async fn look(lake: &Lake) -> Result<(Listing, [u8; 32]), Error> {
    let lake = lake.clone();
    run_blocking(move || {
        let _quiet = publish::recover(&lake)?;
        Ok((walk::walk(&lake)?, walk::quarantine_digest(&lake)))
    })
    .await
}

/// Digests that tell without a comparison whether anything changed; none where it is not known.
struct Digests {
    listing: Option<[u8; 32]>,
    /// None where the catalog is left alone.
    catalog: Option<[u8; 32]>,
    leaves_catalog: bool,
}

impl Digests {
    fn of(listing: &Listing, outcomes: &[u8], options: &Options) -> Self {
        let listing = listing.digest(outcomes);
        let with = |products: &Vec<String>| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(listing.as_ref()?);
            let mut products = products.clone();
            products.sort();
            for product in &products {
                hasher.update(product.as_bytes()).update(b"\n");
            }
            Some(*hasher.finalize().as_bytes())
        };
        let catalog = options.catalog.as_ref().and_then(with);
        Self { listing, catalog, leaves_catalog: options.catalog.is_none() }
    }

    /// Nothing is known of the whole lake: the next sync compares it file by file.
    fn unknown(options: &Options) -> Self {
        Self { listing: None, catalog: None, leaves_catalog: options.catalog.is_none() }
    }

    /// Those that are known, as the registry keeps them.
    fn known(&self) -> (Option<&[u8]>, Option<&[u8]>) {
        (self.listing.as_ref().map(|d| &d[..]), self.catalog.as_ref().map(|d| &d[..]))
    }

    /// Whether the registry knows this state of the lake, and the catalog too where it matters.
    fn agree(&self, known: &LakeRow) -> bool {
        let same = |new: Option<[u8; 32]>, old: &Option<Vec<u8>>| {
            new.is_some_and(|new| old.as_deref() == Some(new.as_slice()))
        };
        same(self.listing, &known.listing_digest)
            && (self.leaves_catalog || same(self.catalog, &known.catalog_digest))
    }
}

/// A sync that found the lake changed.
struct Update<'a> {
    lake: &'a Lake,
    options: &'a Options,
    progress: Progress,
    known: Option<LakeRow>,
    digests: Digests,
    has_moved: bool,
    /// What it is for, as commits tell it.
    action: &'static str,
}

impl Update<'_> {
    async fn compare(
        self,
        session: &mut LakeSession,
        mut listing: Listing,
        report: &mut Report,
    ) -> Result<(), Error> {
        listing.sort();
        let products = self.options.catalog.as_deref();
        let current = session.current_files().await?;
        let difference = Difference::find(&listing, current, products).await?;
        report.still_quarantined = difference.still_quarantined;
        let outcomes = Outcomes::of(self.lake)?;
        let has_outcomes_changed = outcomes.rows() != session.outcomes().await?;
        if self.options.dry_run {
            report.changes = planned(&difference);
            return Ok(());
        }
        let is_known = self.known.is_some() && !self.has_moved;
        if difference.is_empty() && !has_outcomes_changed && is_known {
            let (listing, catalog) = self.digests.known();
            return Ok(session.agree(listing, catalog).await?);
        }
        let commit = session.begin_commit().await?;
        let mut difference = difference;
        let is_all = difference.leave_out(&commit.set_aside().await?) == 0;
        let (changes, is_settled) = self.apply(&commit, difference, report).await?;
        outcomes.write(&commit).await?;
        report.commit = Some(commit.number());
        report.changes = changes;
        Ok(self.finish(commit, changes, is_settled && is_all).await?)
    }

    /// Makes the registry agree with the files, and says what changed and whether all is settled.
    async fn apply(
        &self,
        commit: &Commit<'_>,
        difference: Difference,
        report: &mut Report,
    ) -> Result<(Changes, bool), Error> {
        let mut changes = planned(&difference);
        let mut pixels: Vec<i32> = difference.gone().filter_map(|gone| gone.pixel).collect();
        changes.catalog_removed = take_out(commit, &difference).await?;
        let root = self.lake.root().to_owned();
        let lake_id = self.lake.identity().lake_id;
        let products = self.options.catalog.as_deref();
        let node = self.options.node.as_str();
        let mut registrar =
            Registrar::new(commit, lake_id, node, root.clone(), products, &self.progress);
        report.files_opened = (difference.fresh.len() + difference.backlog.len()) as u64;
        let are_many = difference.fresh.len() > MANY_FILES;
        registrar.register(difference.fresh).await?;
        if are_many {
            commit.analyze_files().await?;
        }
        registrar.look_again(difference.backlog).await?;
        let mut registered = registrar.registered;
        let candidates = std::mem::take(&mut registered.candidates);
        let filled = catalog::fill(commit, root, candidates, &self.progress).await?;
        self.mark(commit, &filled, &mut registered).await?;
        changes.rows_added += registered.rows;
        changes.bytes_added += registered.bytes;
        changes.catalog_added = filled.rows;
        changes.files_quarantined = registered.quarantined.len() as i64;
        pixels.append(&mut registered.pixels);
        commit.mark_faults(Some(&pixels[..]).filter(|p| p.len() <= FEW_PIXELS)).await?;
        let replaced = commit.mark_replaced().await?;
        changes.files_missing -= replaced;
        changes.files_replaced += replaced;
        let is_settled = registered.unsettled.is_empty();
        report.quarantined = registered.quarantined;
        report.unsettled = registered.unsettled;
        Ok((changes, is_settled))
    }

    /// Marks what came of filling the catalog.
    async fn mark(
        &self,
        commit: &Commit<'_>,
        filled: &catalog::Outcome,
        registered: &mut register::Tally,
    ) -> Result<(), Error> {
        for (candidate, reason) in &filled.unreadable {
            commit.quarantine(candidate.file_id, reason).await?;
            let path = candidate.seen.path.clone();
            registered.quarantined.push(Quarantined { path, reason: reason.clone() });
            if candidate.is_fresh {
                registered.rows -= candidate.num_rows;
                registered.bytes -= candidate.seen.size_bytes;
            }
        }
        if !filled.unsettled.is_empty() {
            let ids: Vec<i64> = filled.unsettled.iter().map(|c| c.file_id).collect();
            commit.mark_cataloged(&ids, false).await?;
            registered.unsettled.extend(filled.unsettled.iter().map(|c| c.seen.path.clone()));
        }
        if !filled.caught_up.is_empty() {
            commit.mark_cataloged(&filled.caught_up, true).await?;
        }
        Ok(())
    }

    async fn finish(
        &self,
        commit: Commit<'_>,
        changes: Changes,
        is_settled: bool,
    ) -> Result<(), registry::Error> {
        let (listing, catalog) = if is_settled { self.digests.known() } else { (None, None) };
        let root = self.lake.root().to_string_lossy();
        let end = End {
            node: &self.options.node,
            root: &root,
            program: &format!("bifrost {VERSION}"),
            action: self.action,
            key: self.options.key.as_deref(),
            has_moved: self.has_moved,
            changes,
            listing_digest: listing,
            catalog_digest: catalog,
        };
        commit.finish(&end).await
    }
}

/// Takes out what is there no longer, and counts the rows that the catalog lost.
async fn take_out(commit: &Commit<'_>, found: &Difference) -> Result<i64, registry::Error> {
    let gone: Vec<Gone> = found.gone().collect();
    if gone.is_empty() && found.unwanted.is_empty() {
        return Ok(0);
    }
    let ids: Vec<i64> = gone.iter().map(|gone| gone.file_id).collect();
    let changed = found.fresh.iter().filter(|f| f.predecessor.is_some()).map(|_| "replaced");
    // a file that could not be read and went is not missed
    let vanished = found.vanished.iter().map(|g| if g.was_live { "missing" } else { "replaced" });
    let states: Vec<&str> = changed.chain(vanished).collect();
    let mut cataloged: Vec<i64> =
        gone.iter().filter(|gone| gone.in_catalog).map(|gone| gone.file_id).collect();
    commit.remove_files(&ids, &states).await?;
    commit.delete_bounds(&ids).await?;
    if !found.unwanted.is_empty() {
        commit.mark_cataloged(&found.unwanted, false).await?;
        cataloged.extend(&found.unwanted);
    }
    if cataloged.is_empty() {
        return Ok(0);
    }
    commit.delete_facts(&cataloged).await?;
    commit.uncatalog(&cataloged).await
}

/// What a difference amounts to before any file was read.
fn planned(found: &Difference) -> Changes {
    let changed = found.fresh.iter().filter(|f| f.predecessor.is_some()).count();
    let missing = found.vanished.iter().filter(|gone| gone.was_live).count();
    let were_live = || found.gone().filter(|gone| gone.was_live);
    Changes {
        files_added: (found.fresh.len() - changed) as i64,
        files_changed: changed as i64,
        files_missing: missing as i64,
        files_replaced: (found.vanished.len() - missing) as i64,
        rows_removed: were_live().map(|gone| gone.num_rows).sum(),
        bytes_removed: were_live().map(|gone| gone.size_bytes).sum(),
        ..Changes::default()
    }
}

/// The lake's quarantine, as the registry will know it.
struct Outcomes(Vec<(Record, OutcomeRow)>);

impl Outcomes {
    fn of(lake: &Lake) -> Result<Self, Error> {
        let mut outcomes: Vec<_> = quarantine::list(lake)?
            .into_iter()
            .map(|record| {
                let row = outcome_row(&record);
                (record, row)
            })
            .collect();
        outcomes.sort_by(|a, b| a.1.key().cmp(&b.1.key()));
        outcomes.dedup_by(|a, b| a.1.key() == b.1.key());
        Ok(Self(outcomes))
    }

    fn rows(&self) -> Vec<OutcomeRow> {
        self.0.iter().map(|(_, row)| row.clone()).collect()
    }

    async fn write(&self, commit: &Commit<'_>) -> Result<(), registry::Error> {
        let (products, tiles): (Vec<&str>, Vec<&str>) =
            self.0.iter().map(|(_, row)| row.key()).unzip();
        commit.keep_outcomes(&products, &tiles).await?;
        for (record, row) in &self.0 {
            commit.put_outcome(row, record.tile.as_ref()).await?;
        }
        Ok(())
    }
}

fn outcome_row(record: &Record) -> OutcomeRow {
    let tile = match &record.tile {
        Some(tile) => tile.to_string(),
        None => {
            let names = record.sources.iter().map(|s| s.to_string_lossy());
            names.collect::<Vec<_>>().join(" ")
        }
    };
    let clean = |text: &String| text.replace('\0', "\u{fffd}");
    OutcomeRow {
        product: record.product.to_string(),
        tile: clean(&tile),
        outcome: record.outcome.to_string(),
        reasons: record.reasons.iter().map(clean).collect(),
        advice: record.advice.as_ref().map(clean),
        // as exact as Postgres keeps it
        at: chrono::DateTime::from_timestamp_micros(record.at.timestamp_micros())
            .unwrap_or(record.at),
    }
}
