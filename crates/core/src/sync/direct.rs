//! Publication under a lease: a pixel's new files appear in the lake and in the registry at once.
//!
//! The rename and the commit are two systems, and a crash may fall between them. So an intent is
//! noted in the registry first; then, in one transaction that holds the lease, files are renamed
//! into place, the pixel's folder is synced, other lakes' files of the same tiles are taken out, the
//! ledger is written and the intent struck. What dies on the way is settled by [`super::settle`], when the
//! lake is next at work: a file that is in place is registered after all if nobody has taken its
//! lease over, and taken back if somebody has. Until then a sync leaves the pixel's folder alone.

use super::difference::Difference;
use super::{Digests, Error, Options, Progress, Report, Update, run_blocking, walk};
use crate::layout::{Lake, SPECTRA};
use crate::outcome::Outcome;
use crate::publish::{self, Claim, Draft};
use crate::registry::campaign::{AttemptEnd, Intent, Retry, StoreIntent, Superseded};
use crate::registry::{Changes, Commit, LakeSession, Registry};
use crate::tile::{FileName, Name, Tile};
use crate::withdraw::Version;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Where files are published, and how.
#[derive(Debug, Clone)]
pub struct Site {
    /// The registry.
    pub registry: Registry,
    /// The lake.
    pub lake: Lake,
    /// Name of the machine.
    pub node: String,
    /// Products whose rows belong into the catalog; none: left to a later sync.
    pub catalog: Option<Vec<String>>,
    /// After so much silence of ours the server lets go of what we hold.
    pub patience: Duration,
    /// How often failures that may pass are tried again.
    pub retry: Retry,
}

/// A tile that was made.
#[derive(Debug)]
pub struct Shard {
    attempt_id: i64,
    tile: Tile,
    outcome: Outcome,
    file: Option<(PathBuf, Version)>,
    draft: Option<(Arc<Claim>, u64, Uuid)>,
}

impl Shard {
    /// A draft that is to be published; it is made durable.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn draft(
        attempt_id: i64,
        tile: Tile,
        claim: Claim,
        rows: u64,
    ) -> Result<Self, publish::Error> {
        claim.flush()?;
        let outcome = if rows == 0 { Outcome::Empty } else { Outcome::Converted };
        let version = Version::of(claim.draft())?;
        let file = version.map(|version| (claim.target(rows), version));
        let draft = Some((Arc::new(claim), rows, Uuid::now_v7()));
        Ok(Self { attempt_id, tile, outcome, file, draft })
    }

    /// A tile whose published file is current.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn unchanged(
        attempt_id: i64,
        tile: Tile,
        lake: &Lake,
        path: &Path,
    ) -> Result<Self, publish::Error> {
        let relative = path.strip_prefix(lake.root()).unwrap_or(path).to_owned();
        let file = Version::of(path)?.map(|version| (relative, version));
        Ok(Self { attempt_id, tile, outcome: Outcome::Unchanged, file, draft: None })
    }

    /// A tile of which nothing is published.
    #[must_use]
    pub fn nothing(attempt_id: i64, tile: Tile) -> Self {
        Self { attempt_id, tile, outcome: Outcome::Converted, file: None, draft: None }
    }

    /// Size of its file, bytes.
    #[must_use]
    pub fn size_bytes(&self) -> Option<i64> {
        self.file.as_ref().map(|(_, version)| version.size_bytes)
    }

    /// Rows of its file.
    #[must_use]
    pub fn rows(&self) -> Option<i64> {
        let name = self.file.as_ref()?.0.file_name()?.to_str()?;
        i64::try_from(name.parse::<FileName>().ok()?.rows).ok()
    }

    /// The try.
    #[must_use]
    pub fn attempt_id(&self) -> i64 {
        self.attempt_id
    }

    /// Its draft's claim and rows, if it is to be published.
    #[must_use]
    pub fn drafted(&self) -> Option<(&Tile, &Claim, u64)> {
        self.draft.as_ref().map(|(claim, rows, _)| (&self.tile, &**claim, *rows))
    }

    fn item(&self) -> Item {
        let file = self.file.as_ref();
        Item {
            attempt_id: self.attempt_id,
            tile: self.tile.clone(),
            outcome: self.outcome,
            path: file.map(|(path, _)| path.to_string_lossy().into_owned()),
        }
    }

    fn intent(&self, token: i64) -> Option<Intent> {
        let ((path, version), (_, _, id)) = (self.file.as_ref()?, self.draft.as_ref()?);
        Some(Intent {
            attempt_id: self.attempt_id,
            publish_id: *id,
            path: path.to_string_lossy().into_owned(),
            version: *version,
            outcome: self.outcome,
            token,
            is_held: true,
            is_registered: false,
        })
    }
}

/// A pixel's spectra store that is to be published with its tiles.
#[derive(Debug)]
pub struct StoreDraft {
    claim: Arc<Claim>,
    rows: u64,
    id: Uuid,
    version: Option<Version>,
}

impl StoreDraft {
    /// A draft, which is made durable.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn new(claim: Claim, rows: u64) -> Result<Self, publish::Error> {
        claim.flush()?;
        let version = Version::of(claim.draft())?;
        Ok(Self { claim: Arc::new(claim), rows, id: Uuid::now_v7(), version })
    }

    /// Size of the store, bytes.
    #[must_use]
    pub fn size_bytes(&self) -> i64 {
        self.version.map_or(0, |version| version.size_bytes)
    }

    fn intent(&self, token: i64) -> Option<StoreIntent> {
        let path = self.claim.target(self.rows).to_string_lossy().into_owned();
        Some(StoreIntent {
            token,
            publish_id: self.id,
            path,
            version: self.version?,
            is_held: true,
        })
    }
}

/// What came of the tiles of a leased pixel.
#[derive(Debug)]
pub struct Bundle {
    /// The lease.
    pub token: i64,
    /// The product.
    pub product: Name,
    /// Tiles that were made.
    pub shards: Vec<Shard>,
    /// The pixel's spectra store, where it changes with them: there with all of them, or with none.
    pub store: Option<StoreDraft>,
    /// Tiles that failed.
    pub failed: Vec<AttemptEnd>,
}

impl Bundle {
    /// All of its tiles failed for the same reason.
    #[must_use]
    pub fn all_failed(&self, outcome: Outcome, reason: &str) -> Vec<AttemptEnd> {
        let end = |shard: &Shard| AttemptEnd {
            attempt_id: shard.attempt_id,
            outcome,
            error: Some(reason.to_owned()),
        };
        self.shards.iter().map(end).chain(self.failed.iter().cloned()).collect()
    }
}

/// How a publication ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// All tries have ended so, and the lease is given back.
    Published(Vec<AttemptEnd>),
    /// The lease is lost. Nothing was published.
    Fenced,
}

/// A tile's file that is in place, or is to be.
pub(super) struct Item {
    pub(super) attempt_id: i64,
    pub(super) tile: Tile,
    pub(super) outcome: Outcome,
    pub(super) path: Option<String>,
}

/// Publishes a bundle. After an error it may be called again with the same bundle: what is in
/// place stays so. If it is not, [`super::settle`] must be called.
///
/// # Errors
/// [`Error`]; nothing is registered, files may be in place.
pub async fn publish(site: &Site, bundle: &Bundle) -> Result<Ended, Error> {
    let mut session = site.registry.lock_lake(site.lake.identity().lake_id).await?;
    session.see_node(&site.node, None).await?;
    let intents: Vec<Intent> =
        bundle.shards.iter().filter_map(|shard| shard.intent(bundle.token)).collect();
    // before the tiles': a store that stands alone is taken back, a tile without its arrays would not be
    if let Some(intent) = bundle.store.as_ref().and_then(|store| store.intent(bundle.token)) {
        session.put_store_intent(&intent).await?;
    }
    session.put_intents(bundle.token, &intents).await?;
    let stored = bundle.store.iter().filter_map(|store| {
        Some((store.claim.clone(), store.rows, store.id, store.claim.target(0), store.version?))
    });
    let shards = bundle.shards.iter().filter_map(|shard| {
        let ((claim, rows, id), (path, version)) = (shard.draft.clone()?, shard.file.clone()?);
        Some((claim, rows, id, path, version))
    });
    let drafts: Vec<_> = stored.chain(shards).collect();
    let (root, is_one) = (site.lake.root().to_owned(), bundle.store.is_some());
    let rename = move || -> Result<(), publish::Error> {
        let mut going: Vec<Draft<'_>> = Vec::new();
        for (claim, rows, id, path, version) in &drafts {
            // in place already: an earlier call failed after the rename
            if Version::of(&root.join(path))? != Some(*version) {
                going.push((claim, *rows, *id));
            }
        }
        if is_one {
            return publish::publish_together(&going).map(drop);
        }
        going.iter().try_for_each(|(claim, rows, id)| claim.publish_as(*rows, *id).map(drop))
    };
    let items: Vec<Item> = bundle.shards.iter().map(Shard::item).collect();
    let lease = Lease { token: bundle.token, product: &bundle.product, may_be_lapsed: false };
    let ended = register(site, &mut session, &lease, items, &bundle.failed, rename).await?;
    // it is published whether or not we can say that our turn is over: the server will notice
    if let Err(e) = site.registry.unlock_lake(session).await {
        tracing::info!("{e}");
    }
    Ok(ended.map_or(Ended::Fenced, Ended::Published))
}

/// Under which lease something is registered.
pub(super) struct Lease<'a> {
    pub(super) token: i64,
    pub(super) product: &'a Name,
    pub(super) may_be_lapsed: bool,
}

/// The transaction: holds the lease, puts files in place, registers them, ends the tries. Nothing
/// where the lease is lost.
pub(super) async fn register(
    site: &Site,
    session: &mut LakeSession,
    lease: &Lease<'_>,
    items: Vec<Item>,
    failed: &[AttemptEnd],
    rename: impl FnOnce() -> Result<(), publish::Error> + Send + 'static,
) -> Result<Option<Vec<AttemptEnd>>, Error> {
    let began = Instant::now();
    let options = site.options();
    let update = Update::at(site, &options, session, "run").await?;
    let commit = session.begin_publication(site.patience).await?;
    if !commit.lock_lease(lease.token, lease.may_be_lapsed).await? {
        return Ok(None);
    }
    run_blocking(rename).await?;
    let mut report = Report::default();
    let placed: Vec<(&str, &Tile)> =
        items.iter().filter_map(|item| Some((item.path.as_deref()?, &item.tile))).collect();
    let (changes, is_changed) = update.enter(&commit, lease.product, &placed, &mut report).await?;
    let mut ends: Vec<AttemptEnd> = items.iter().map(|item| end_of(item, &report)).collect();
    ends.extend_from_slice(failed);
    commit.end_attempts(&ends, Some(began.elapsed().as_secs_f64()), site.retry).await?;
    let ids: Vec<i64> = ends.iter().map(|end| end.attempt_id).collect();
    commit.delete_intents(&ids).await?;
    commit.delete_store_intent(lease.token).await?;
    commit.free_lease(lease.token).await?;
    if is_changed {
        update.finish(commit, changes, false).await?;
    } else {
        commit.finish_unnumbered().await?;
    }
    Ok(Some(ends))
}

impl Site {
    pub(super) fn options(&self) -> Options {
        Options {
            node: self.node.clone(),
            catalog: self.catalog.clone(),
            uri_prefixes: None,
            dry_run: false,
            key: None,
        }
    }
}

impl<'a> Update<'a> {
    /// A change of a few folders of the lake, with all else left as it is.
    pub(super) async fn at(
        site: &'a Site,
        options: &'a Options,
        session: &LakeSession,
        action: &'static str,
    ) -> Result<Self, Error> {
        let known = session.lake().await?;
        let root = site.lake.root().to_string_lossy();
        let has_moved = known.as_ref().is_some_and(|k| k.node != site.node || k.root != root);
        let progress: Progress = Arc::new(|_| {});
        let digests = Digests::unknown(options);
        Ok(Self { lake: &site.lake, options, progress, known, digests, has_moved, action })
    }

    /// Makes the registry agree with the pixel's folder, and takes out what other lakes have of the
    /// tiles that were placed there.
    pub(super) async fn enter(
        &self,
        commit: &Commit<'_>,
        product: &Name,
        placed: &[(&str, &Tile)],
        report: &mut Report,
    ) -> Result<(Changes, bool), Error> {
        let Some(folder) = placed.first().and_then(|(path, _)| folder_of(path)) else {
            return Ok((Changes::default(), false));
        };
        let paths: Vec<&str> = placed.iter().map(|(path, _)| *path).collect();
        commit.forget_set_aside(&paths).await?;
        // the pixel's spectra store comes first, as paths are sorted
        let pixel = placed.first().map(|(_, tile)| tile.pixel);
        let store = pixel.map(|pixel| self.lake.store(pixel));
        let store = store.filter(|_| product.as_str() == SPECTRA).and_then(|path| {
            Some(path.strip_prefix(self.lake.root()).ok()?.to_string_lossy().into_owned())
        });
        let mut current = Vec::new();
        if let Some(store) = &store {
            current.extend(commit.files_in(store).await?);
        }
        current.extend(commit.files_in(&format!("{folder}/")).await?);
        let lake = self.lake.clone();
        let listing =
            run_blocking(move || walk::pixel_folder(&lake, &folder, store.as_deref())).await?;
        let rows = futures::stream::iter(current.into_iter().map(Ok));
        let mut found = Difference::find(&listing, rows, self.options.catalog.as_deref()).await?;
        found.leave_out(&commit.set_aside().await?);
        let tiles: Vec<Tile> = placed.iter().map(|(_, tile)| (*tile).clone()).collect();
        let mut overtaken = commit.supersede(product, &tiles).await?;
        if found.is_empty() && overtaken.is_empty() {
            return Ok((Changes::default(), false));
        }
        let mut removed = take_out(commit, &overtaken).await?;
        if let Some(pixel) = pixel.filter(|_| product.as_str() == SPECTRA) {
            let stores = commit.supersede_stores(pixel).await?;
            removed += take_out(commit, &stores).await?;
            overtaken.extend(stores);
        }
        let (mut changes, _) = self.apply(commit, found, report).await?;
        changes.files_replaced += overtaken.len() as i64;
        changes.rows_removed += overtaken.iter().map(|file| file.num_rows).sum::<i64>();
        changes.bytes_removed += overtaken.iter().map(|file| file.size_bytes).sum::<i64>();
        changes.catalog_removed += removed;
        Ok((changes, true))
    }
}

/// Takes other lakes' files out; says how many rows of theirs the catalog loses.
async fn take_out(commit: &Commit<'_>, overtaken: &[Superseded]) -> Result<i64, Error> {
    let ids: Vec<i64> = overtaken.iter().map(|file| file.file_id).collect();
    if ids.is_empty() {
        return Ok(0);
    }
    commit.remove_files(&ids, &vec!["superseded"; ids.len()]).await?;
    commit.delete_bounds(&ids).await?;
    let cataloged: Vec<i64> =
        overtaken.iter().filter(|f| f.in_catalog).map(|f| f.file_id).collect();
    commit.delete_facts(&cataloged).await?;
    Ok(commit.uncatalog(&cataloged).await?)
}

/// A file that cannot be registered is no file that was made.
fn end_of(item: &Item, report: &Report) -> AttemptEnd {
    let is_it = |path: &String| Some(path) == item.path.as_ref();
    let refused = report.quarantined.iter().find(|q| is_it(&q.path)).map(|q| q.reason.clone());
    let unsettled = report.unsettled.iter().find(|path| is_it(path));
    let error = refused.or(unsettled.map(|_| "it changed while it was registered".to_owned()));
    let outcome = if error.is_some() { Outcome::Internal } else { item.outcome };
    AttemptEnd { attempt_id: item.attempt_id, outcome, error }
}

pub(super) fn folder_of(path: &str) -> Option<String> {
    path.rsplit_once('/').map(|(folder, _)| folder.to_owned())
}
