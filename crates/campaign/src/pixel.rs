//! One leased pixel: its tiles are fetched and made side by side, and published together.

use crate::beat;
use crate::scratch::{self, Scratch};
use crate::settings::{Settings, Tell};
use bifrost_archive::fetch::{Ending as Fetch, Fetched, Fetcher, How, Job, Room, is_full_disk};
use bifrost_core::guard::guard;
use bifrost_core::outcome::Outcome;
use bifrost_core::patience::{MayPass, patiently};
use bifrost_core::publish::{self, Claim, Staging};
use bifrost_core::quarantine::{self, Record};
use bifrost_core::registry::campaign::{AttemptEnd, Ending, Lease, LeasedTile, Measured};
use bifrost_core::registry::{ArchiveFile, LearntFile};
use bifrost_core::sync::{self, Bundle, Ended, Shard, Site, StoreDraft};
use bifrost_core::tile::{Pixel, Tile};
use bifrost_stages::fuse::Sources;
use bifrost_stages::stage::{Held, Made, Work};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit, oneshot, watch};
use tokio::time::sleep;

/// More than the folders of a publication take.
const FOLDERS_BYTES: u64 = 1_000_000;

/// What all pixels under way share.
pub(crate) struct Shop {
    pub(crate) site: Site,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) staging: Staging,
    pub(crate) scratch: Scratch,
    /// Room on the lake's disk.
    pub(crate) room: Arc<Room>,
    /// Tiles that may be on their way here, or here and not yet begun: no more than keeps all hands
    /// busy, so that most of their bytes never reach the disk.
    pub(crate) ahead: Semaphore,
    /// Tiles that may be made at once.
    pub(crate) jobs: Arc<Semaphore>,
    /// Publications take turns: all of a lake do anyway.
    pub(crate) publishing: Mutex<()>,
    pub(crate) held: beat::Held,
    pub(crate) tell: Tell,
}

/// What came of a pixel.
#[derive(Debug, Clone, Default)]
pub(crate) struct PixelEnd {
    pub(crate) made: usize,
    pub(crate) failed: usize,
    pub(crate) lost: usize,
    /// Files and bytes of the tiles that were made.
    pub(crate) files_in: usize,
    pub(crate) bytes_in: u64,
    /// Of all tiles.
    pub(crate) bytes_fetched: u64,
    /// Made of what came in.
    pub(crate) bytes_out: u64,
}

/// The claim of a pixel's spectra store.
type StoreClaim = Result<Claim, Failure>;

/// A tile that was fetched, and made or not.
struct TileEnd {
    tile: Tile,
    sources: Vec<PathBuf>,
    measured: Measured,
    files_in: usize,
    result: Result<Shard, Failure>,
}

/// What is said of a tile once it has ended.
struct Told {
    tile: Tile,
    sources: Vec<PathBuf>,
    measured: Measured,
    files_in: usize,
}

#[derive(Debug, Clone)]
struct Failure {
    outcome: Outcome,
    reasons: Vec<String>,
    advice: Option<String>,
}

impl Failure {
    fn of(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, reasons: vec![reason.into()], advice: None }
    }
}

impl From<publish::Error> for Failure {
    fn from(error: publish::Error) -> Self {
        Self::of(Outcome::Disk, error.to_string())
    }
}

impl Shop {
    /// Makes and publishes the tiles of a pixel; stops early where the lease is lost.
    pub(crate) async fn pixel(
        self: Arc<Self>,
        lease: Lease,
        mut lost: watch::Receiver<bool>,
    ) -> Result<PixelEnd, sync::Error> {
        let made = tokio::select! {
            made = self.make_all(&lease) => Some(made),
            _ = lost.wait_for(|lost| *lost) => None,
        };
        let ended = match made {
            Some((store, tiles)) => self.publish(&lease, store, tiles).await,
            None => {
                tracing::warn!("the lease of pixel {} is lost: it is abandoned", lease.pixel);
                Ok(PixelEnd { lost: lease.tiles.len(), ..PixelEnd::default() })
            }
        };
        self.held.remove(lease.token);
        ended
    }

    async fn make_all(&self, lease: &Lease) -> (Option<StoreClaim>, Vec<TileEnd>) {
        let sizes: Vec<Option<u64>> = lease.tiles.iter().map(size).collect();
        let _room = self.scratch.take(&sizes).await;
        // before any tile: so do all who publish both
        let store = match self.settings.stage.has_stores() {
            true => Some(self.claim_store(lease.pixel).await),
            false => None,
        };
        let tiles = futures::future::join_all(lease.tiles.iter().map(|tile| self.tile(tile)));
        (store, tiles.await)
    }

    async fn claim_store(&self, pixel: Pixel) -> StoreClaim {
        let staging = self.staging.clone();
        let claimed = tokio::task::spawn_blocking(move || staging.claim_store(pixel)).await;
        match claimed {
            Ok(claimed) => claimed.map_err(Failure::from),
            Err(e) => Err(Failure::of(Outcome::Internal, format!("a fault: {e}"))),
        }
    }

    /// Makes the pixel's spectra store with what was made of its tiles; where it cannot be, none of
    /// these can be published.
    async fn join(
        &self,
        pixel: Pixel,
        claim: StoreClaim,
        shards: Vec<Shard>,
    ) -> Result<(Option<StoreDraft>, Vec<Shard>), (Failure, Vec<Shard>)> {
        let claim = match claim {
            Ok(claim) => claim,
            Err(failure) => return Err((failure, shards)),
        };
        let (stage, lake) = (self.settings.stage.clone(), self.site.lake.clone());
        let work = move || {
            let join = || {
                let drafts: Vec<_> = shards.iter().filter_map(Shard::drafted).collect();
                let joined = stage.join(&lake, pixel, &claim, &drafts);
                joined.map_err(|(outcome, reason)| Failure::of(outcome, reason))
            };
            let joined = guard(join).unwrap_or_else(|panicked| {
                Err(Failure::of(Outcome::Internal, format!("a fault: {}", panicked.fault())))
            });
            let made = joined
                .and_then(|rows| Ok(rows.map(|rows| StoreDraft::new(claim, rows)).transpose()?));
            match made {
                Ok(store) => Ok((store, shards)),
                Err(failure) => Err((failure, shards)),
            }
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| {
            Err((Failure::of(Outcome::Internal, format!("a fault: {e}")), Vec::new()))
        })
    }

    async fn tile(&self, leased: &LeasedTile) -> TileEnd {
        let ahead = self.ahead.acquire().await;
        let mut job =
            Job::gather(&leased.files).pop().unwrap_or_else(|| Job::of(leased.tile.clone(), &[]));
        let held = self.held(leased).await;
        job.held = held.as_ref().map(|held| held.digests.clone()).unwrap_or_default();
        let fetched = self.fetcher.tile(&job).await;
        self.learn(&fetched).await;
        let here: Vec<&Fetched> = fetched.files.iter().filter(|f| f.how.is_here()).collect();
        let held = held.filter(|_| fetched.files.iter().any(|file| file.how == How::Held));
        let bytes_in: u64 = here.iter().map(|file| file.size_bytes).sum();
        let mut measured = Measured {
            attempt_id: leased.attempt_id,
            bytes_fetched: signed(fetched.bytes),
            bytes_in: signed(bytes_in),
            fetch_s: fetched.seconds,
            retries: i32::try_from(fetched.retries).unwrap_or(i32::MAX),
            ..Measured::default()
        };
        let sources = Sources {
            stem: format!("{}-{}-{}", leased.tile.survey, leased.tile.program, leased.tile.pixel),
            files: here
                .iter()
                .filter_map(|file| Some((source_kind(file.kind.as_str())?, file.path.clone())))
                .collect(),
            // what was verified on its way here need not be read for that again
            digests: here
                .iter()
                .filter_map(|file| Some((source_kind(file.kind.as_str())?, file.sha256.clone()?)))
                .collect(),
        };
        let (files_in, paths) = (here.len(), sources.paths());
        let result = match (fetched.failure, held) {
            (Some(failure), _) => Err(Failure::of(failure.outcome, failure.reason)),
            (None, Some(held)) => {
                let (id, tile) = (leased.attempt_id, leased.tile.clone());
                Shard::unchanged(id, tile, &self.site.lake, &held.path).map_err(Failure::from)
            }
            (None, None) => {
                self.scratch.learn(bytes_in);
                let began = Instant::now();
                let made = self.make(leased, sources, bytes_in, ahead.ok()).await;
                measured.make_s = began.elapsed().as_secs_f64();
                made
            }
        };
        if let Ok(shard) = &result {
            (measured.bytes_out, measured.rows) = (shard.size_bytes(), shard.rows());
        }
        TileEnd { tile: leased.tile.clone(), sources: paths, measured, files_in, result }
    }

    /// What the lake holds of a tile already, unless it is damaged.
    async fn held(&self, leased: &LeasedTile) -> Option<Held> {
        let (stage, lake) = (self.settings.stage.clone(), self.site.lake.clone());
        let tile = leased.tile.clone();
        let look = move || guard(|| stage.held(&lake, &tile)).ok().flatten();
        match leased.is_damaged {
            true => None,
            false => tokio::task::spawn_blocking(look).await.ok().flatten(),
        }
    }

    /// What fetching told goes into the inventory; it is of no consequence if it cannot.
    async fn learn(&self, fetched: &Fetch) {
        let asked_for = fetched.files.iter().filter(|file| file.how != How::Held);
        let learnt: Vec<LearntFile> = asked_for.map(|f| learnt(&fetched.tile, f)).collect();
        if !learnt.is_empty()
            && let Err(e) = self.site.registry.learn_archive_files(&learnt).await
        {
            tracing::info!("{}: {e}", fetched.tile);
        }
    }

    /// Makes a tile when there is room for it in the lake; where others then fill the disk all the
    /// same, it is made again once there is room again.
    async fn make(
        &self,
        leased: &LeasedTile,
        sources: Sources,
        bytes_in: u64,
        mut ahead: Option<SemaphorePermit<'_>>,
    ) -> Result<Shard, Failure> {
        let sources = Arc::new(sources);
        let mut is_last = false;
        loop {
            let promise = self.room.promise(bytes_in).await.map_err(|e| {
                let lake = self.site.lake.root().display();
                Failure::of(Outcome::Disk, format!("no room in {lake} for {bytes_in} bytes: {e}"))
            })?;
            let made = self.make_once(leased, sources.clone(), ahead.take()).await;
            drop(promise);
            let failure = match made {
                Err(f) if matches!(f.outcome, Outcome::Disk | Outcome::Internal) => f,
                made => return made,
            };
            match self.room.is_full_for(bytes_in) {
                true => {}
                // who filled the disk may be gone already
                false if failure.outcome == Outcome::Disk && !is_last => is_last = true,
                false => return Err(failure),
            }
            tracing::info!("{} is made again: {}", leased.tile, failure.reasons.join("; "));
        }
    }

    /// On a thread of its own: one that is never waited for when the run is told to stop.
    async fn make_once(
        &self,
        leased: &LeasedTile,
        sources: Arc<Sources>,
        ahead: Option<SemaphorePermit<'_>>,
    ) -> Result<Shard, Failure> {
        let Ok(permit) = self.jobs.clone().acquire_owned().await else {
            return Err(Failure::of(Outcome::Internal, "no thread may be started any more"));
        };
        drop(ahead);
        let (sender, receiver) = oneshot::channel();
        let (stage, lake) = (self.settings.stage.clone(), self.site.lake.clone());
        let (staging, leased) = (self.staging.clone(), leased.clone());
        let work = move || {
            let made = guard(|| {
                let claim = staging.claim(&stage.about().product(), &leased.tile)?;
                let work = Work {
                    tile: &leased.tile,
                    sources: &sources,
                    claim: &claim,
                    lake: &lake,
                    scratch: staging.dir(),
                    is_damaged: leased.is_damaged,
                };
                let (id, tile) = (leased.attempt_id, leased.tile.clone());
                match stage.make(&work) {
                    Made::Draft(rows) => Ok(Shard::draft(id, tile, claim, rows)?),
                    Made::Unchanged(path) => Ok(Shard::unchanged(id, tile, &lake, &path)?),
                    Made::Nothing => Ok(Shard::nothing(id, tile)),
                    Made::Failed { outcome, reasons, advice } => {
                        Err(Failure { outcome, reasons, advice })
                    }
                }
            });
            drop(permit);
            // nobody listens where the lease is lost
            drop(sender.send(made.unwrap_or_else(|panicked| {
                Err(Failure::of(Outcome::Internal, format!("a fault: {}", panicked.fault())))
            })));
        };
        if let Err(e) = std::thread::Builder::new().name("make".to_owned()).spawn(work) {
            return Err(Failure::of(Outcome::Internal, format!("no thread could be started: {e}")));
        }
        let gone = || Failure::of(Outcome::Internal, "the thread that made it went away");
        receiver.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn publish(
        &self,
        lease: &Lease,
        store: Option<StoreClaim>,
        tiles: Vec<TileEnd>,
    ) -> Result<PixelEnd, sync::Error> {
        let mut end = PixelEnd::default();
        let mut bundle = Bundle {
            token: lease.token,
            product: self.settings.taker.product.clone(),
            shards: Vec::new(),
            store: None,
            failed: Vec::new(),
        };
        let (mut told, mut failures, mut store_bytes) = (Vec::new(), Vec::new(), 0);
        for tile in tiles {
            let TileEnd { tile, sources, measured, files_in, result } = tile;
            end.bytes_fetched += measured.bytes_fetched.cast_unsigned();
            told.push(Told { tile, sources, measured, files_in });
            match result {
                Ok(shard) => bundle.shards.push(shard),
                Err(failure) => failures.push((told.len() - 1, failure)),
            }
        }
        if let Some(claim) = store.filter(|_| !bundle.shards.is_empty()) {
            let shards = std::mem::take(&mut bundle.shards);
            let attempts: Vec<i64> = shards.iter().map(Shard::attempt_id).collect();
            match self.join(lease.pixel, claim, shards).await {
                Ok((store, shards)) => {
                    store_bytes = store.as_ref().map_or(0, StoreDraft::size_bytes).cast_unsigned();
                    (bundle.store, bundle.shards) = (store, shards);
                }
                Err((failure, _)) => {
                    let is_it = |m: &Measured| attempts.contains(&m.attempt_id);
                    let these = (0..told.len()).filter(|at| is_it(&told[*at].measured));
                    failures.extend(these.map(|at| (at, failure.clone())));
                }
            }
        }
        bundle.failed =
            failures.into_iter().map(|(at, failure)| self.set_aside(&told[at], failure)).collect();
        let measured: Vec<Measured> = told.iter().map(|told| told.measured).collect();
        let registry = &self.site.registry;
        patiently(self.settings.patience, || registry.measure_attempts(&measured)).await?;
        let ended = {
            let _turn = self.publishing.lock().await;
            self.publish_in_turn(&bundle).await?
        };
        let Some(ends) = ended else {
            end.lost = told.len();
            return Ok(end);
        };
        end.failed = ends.iter().filter(|e| e.outcome.is_quarantined()).count();
        end.made = ends.len() - end.failed;
        end.bytes_out = if end.made > 0 { store_bytes } else { 0 };
        for one in &told {
            let ended = ends.iter().find(|e| e.attempt_id == one.measured.attempt_id);
            let outcome = ended.map(|e| e.outcome);
            match ended {
                Some(e) if !e.outcome.is_quarantined() => {
                    let Told { tile, sources, measured, files_in } = one;
                    end.files_in += files_in;
                    end.bytes_in += measured.bytes_in.cast_unsigned();
                    // what is held is no smaller for files that were not brought
                    let made = measured.bytes_out.filter(|_| *files_in > 0);
                    end.bytes_out += made.unwrap_or(0).cast_unsigned();
                    let cleared =
                        quarantine::clear(&self.site.lake, &bundle.product, tile, sources);
                    cleared.unwrap_or_else(|e| tracing::warn!("{e}"));
                }
                // it was made, and could not be published
                Some(e) if !bundle.failed.contains(e) => {
                    let why = e.error.clone().unwrap_or_default();
                    self.set_aside(one, Failure::of(e.outcome, why));
                }
                _ => {}
            }
            // a download that the archive broke off is continued by the next try
            if !self.settings.keep_fits && outcome != Some(Outcome::ArchiveError) {
                let folder = self.fetcher.folder_of(&one.tile);
                // it takes a while, and others wait for their turn
                drop(tokio::task::spawn_blocking(move || scratch::remove(&folder)).await);
            }
        }
        Ok(end)
    }

    /// Records why a tile cannot be made.
    fn set_aside(&self, told: &Told, failure: Failure) -> AttemptEnd {
        let Failure { outcome, reasons, advice } = failure;
        let (tile, sources) = (Some(told.tile.clone()), told.sources.clone());
        let attempt_id = told.measured.attempt_id;
        let error = Some(reasons.join("; "));
        let product = self.settings.taker.product.clone();
        let record =
            Record { product, tile, outcome, reasons, advice, sources, at: chrono::Utc::now() };
        if let Err(e) = quarantine::record(&self.site.lake, &record) {
            tracing::warn!("{e}");
        }
        AttemptEnd { attempt_id, outcome, error }
    }

    /// Nothing where the lease is lost.
    async fn publish_in_turn(
        &self,
        bundle: &Bundle,
    ) -> Result<Option<Vec<AttemptEnd>>, sync::Error> {
        let patience = self.settings.patience;
        let registry = &self.site.registry;
        if bundle.shards.is_empty() {
            let end = || registry.end_attempts_of(bundle.token, &bundle.failed, self.site.retry);
            let is_held = patiently(patience, end).await?;
            return Ok(is_held.then(|| bundle.failed.clone()));
        }
        let why = loop {
            match patiently(patience, || sync::publish(&self.site, bundle)).await {
                Ok(Ended::Published(ends)) => return Ok(Some(ends)),
                Ok(Ended::Fenced) => break None,
                Err(e) if MayPass::may_pass(&e) => return Err(e),
                // what is in place stays there until there is room for the rest
                Err(e) if wants_room(&e) => {
                    tracing::info!("publishing waits: {e}");
                    sleep(self.room.poll()).await;
                    drop(self.room.promise(FOLDERS_BYTES).await);
                }
                Err(e) => break Some(e.to_string()),
            }
        };
        let mut ends = None;
        match why {
            None => {
                tracing::warn!("lease {} is lost: nothing of it is published", bundle.token);
                let why = "the lease was lost before it came to publish";
                let tokens = [bundle.token];
                let fence = || registry.give_leases_back(&tokens, Ending::Fenced, why);
                patiently(patience, fence).await?;
            }
            Some(why) => {
                tracing::error!("publishing failed: {why}");
                let failed: Vec<AttemptEnd> = bundle.all_failed(Outcome::Disk, &why);
                let end = || registry.end_attempts_of(bundle.token, &failed, self.site.retry);
                ends = patiently(patience, end).await?.then_some(failed);
            }
        }
        patiently(patience, || sync::settle(&self.site)).await?;
        Ok(ends)
    }
}

/// Whether it is for want of room that something failed.
fn wants_room(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |e| e.source())
        .filter_map(|e| e.downcast_ref::<std::io::Error>())
        .any(is_full_disk)
}

fn size(leased: &LeasedTile) -> Option<u64> {
    let mut all = 0;
    for file in &leased.files {
        // what is not required may well not be there
        let size = file.size_bytes.and_then(|size| u64::try_from(size).ok());
        match size {
            Some(size) => all += size,
            None if matches!(file.kind.as_str(), "coadd" | "redrock") => return None,
            None => {}
        }
    }
    Some(all)
}

fn learnt(tile: &Tile, file: &Fetched) -> LearntFile {
    let is_present = file.how != How::Absent;
    LearntFile {
        file: ArchiveFile {
            tile: tile.clone(),
            kind: file.kind.as_str().to_owned(),
            key: file.key.clone(),
            size_bytes: i64::try_from(file.size_bytes).ok().filter(|_| is_present),
            etag: file.etag.clone(),
            sha256: file.sha256.clone(),
        },
        is_present,
    }
}

fn source_kind(word: &str) -> Option<bifrost_stages::fuse::sources::Kind> {
    bifrost_stages::fuse::sources::Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
