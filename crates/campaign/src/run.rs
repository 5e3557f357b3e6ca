//! A run: settles what died, joins, and makes tiles until nothing is left.

use crate::batch::{Batch, Tally};
use crate::beat::{Heart, Held, disk_of};
use crate::notices::Teller;
use crate::pixel::{PixelEnd, Shop};
use crate::plan::Plan;
use crate::scratch::{self, Scratch};
use crate::settings::{End, Error, Event, Report, Settings, Stop, Tell};
use bifrost_archive::fetch::Fetcher;
use bifrost_core::hats::Refresher;
use bifrost_core::layout::Lake;
use bifrost_core::patience::patiently;
use bifrost_core::publish::{RUN, Running, Staging};
use bifrost_core::registry::Registry;
use bifrost_core::registry::campaign::{Counts, Ending, Member, Peer};
use bifrost_core::sync::{self, Settled, Site};
use bifrost_core::tile::{Pixel, Tile};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Another run of the lake may be about to end.
const BUSY_PATIENCE: Duration = Duration::from_secs(10);
/// Of the time that a run has to stop, what is kept for giving leases back.
const GIVING_BACK: f64 = 0.2;

/// Runs a campaign on this node until nothing is left, or it is told to stop.
///
/// # Errors
/// [`Error`]; leases then lapse, and the next run of the lake settles what was begun.
pub async fn run(
    registry: &Registry,
    lake: &Lake,
    fetcher: Fetcher,
    settings: Settings,
    stop: watch::Receiver<Stop>,
    tell: Tell,
) -> Result<Report, Error> {
    let began = Instant::now();
    let _running = alone(lake).await?;
    let staging = Staging::open(lake)?;
    let settings = Arc::new(settings);
    let taker = &settings.taker;
    let lease = Duration::from_secs_f64(taker.lease_s);
    let site = Site {
        registry: registry.clone(),
        lake: lake.clone(),
        node: taker.node.clone(),
        catalog: settings.catalog.clone(),
        patience: lease.clamp(Duration::from_secs(5), Duration::from_secs(60)),
        retry: settings.retry,
    };
    let settled = settle(&site, settings.patience).await?;
    join(registry, &settings, lake).await?;
    let (held, jobs) = (Held::default(), settings.jobs.max(1));
    let (peers, watched) = watch::channel(Vec::new());
    let heart = Heart {
        registry: registry.clone(),
        settings: settings.clone(),
        folder: lake.root().to_owned(),
        held: held.clone(),
        peers,
    };
    let mut background = JoinSet::new();
    background.spawn(heart.beat_for_ever());
    let tellers = settings.notices.clone().map_or_else(Vec::new, |config| {
        Teller::all(registry, &taker.release, &taker.node, config, &stop)
    });
    for teller in tellers.clone() {
        background.spawn(teller.watch());
    }
    let counts = registry.campaign_counts(&taker.release).await?;
    tell(Event::Began(settled, counts.clone()));
    let room = fetcher.room_in(lake.root());
    let room = room.map_err(|source| Error::Disk { path: lake.root().to_owned(), source })?;
    let ahead = fetcher.caller().pace().ceiling() + jobs;
    let shop = Arc::new(Shop {
        site,
        settings: settings.clone(),
        staging,
        scratch: Scratch::new(settings.scratch_bytes, [fetcher.room().clone(), room.clone()]),
        room,
        fetcher: Arc::new(fetcher),
        ahead: Semaphore::new(ahead),
        jobs: Arc::new(Semaphore::new(jobs)),
        publishing: Mutex::new(()),
        held,
        tell,
    });
    let mut run = Run {
        shop,
        peers: watched,
        stop,
        began,
        at_first: counts,
        last_line: began,
        catalogs: Refresher::default(),
        tasks: JoinSet::new(),
        batches: BTreeMap::new(),
        tokens: BTreeMap::new(),
        claimed: 0,
        total: Tally::new(0, 0),
        plan: None,
        is_swept: settings.keep_fits || settings.taker.only.is_some(),
    };
    let told = stopped(run.stop.clone(), settings.grace.mul_f64(0.5));
    let (ended, since) = tokio::select! {
        ended = run.until_nothing_is_left() => (ended, Instant::now()),
        // it hangs in a statement
        since = told => (Ok(End::Stopped), since),
    };
    let gave_back = run.give_back(since).await;
    background.abort_all();
    let end = ended?;
    gave_back?;
    let elapsed_s = began.elapsed().as_secs_f64();
    // what a run that is told to stop leaves untold, the next tells
    let tellers = if end == End::Stopped { &[] } else { &tellers[..] };
    let last = tellers.iter().map(|teller| teller.look_last(elapsed_s, end == End::Complete));
    futures::future::join_all(last).await;
    let tiles = registry.campaign_counts(&settings.taker.release).await?;
    Ok(run.report(end, tiles))
}

/// Waits until the run is told to stop and some time has passed; gives the time when it was told.
async fn stopped(mut stop: watch::Receiver<Stop>, slack: Duration) -> Instant {
    if stop.wait_for(|stop| *stop > Stop::Not).await.is_err() {
        return std::future::pending().await;
    }
    let since = Instant::now();
    tokio::select! {
        () = sleep(slack) => {}
        _ = stop.wait_for(|stop| *stop == Stop::Now) => {}
    }
    since
}

/// Waits a little for another run of the lake that is about to end.
async fn alone(lake: &Lake) -> Result<Running, Error> {
    let began = Instant::now();
    loop {
        if let Some(running) = Running::begin(lake, RUN)? {
            return Ok(running);
        }
        if began.elapsed() > BUSY_PATIENCE {
            return Err(Error::Busy(lake.root().to_owned()));
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// What earlier runs of this lake began is settled, and what they held is given back.
async fn settle(site: &Site, patience: Duration) -> Result<Settled, Error> {
    let settled = patiently(patience, || sync::settle(site)).await?;
    let lake_id = site.lake.identity().lake_id;
    let held = patiently(patience, || site.registry.leases_of(lake_id)).await?;
    let why = "the process that held the lease died";
    let give = || site.registry.give_leases_back(&held, Ending::Abandoned, why);
    patiently(patience, give).await?;
    patiently(patience, || sync::clear_made(&site.registry, &site.lake)).await?;
    Ok(settled)
}

async fn join(registry: &Registry, settings: &Settings, lake: &Lake) -> Result<(), Error> {
    let taker = &settings.taker;
    let member = Member {
        node: taker.node.clone(),
        lake_id: taker.lake_id,
        run_id: taker.run_id,
        release: taker.release.clone(),
        weight: settings.weight,
        takes_all: taker.only.is_none(),
        lease_s: taker.lease_s,
    };
    match registry.join_campaign(&member, disk_of(lake.root())).await? {
        true => Ok(()),
        false => Err(Error::NodeTaken(taker.node.clone())),
    }
}

/// A run under way.
struct Run {
    shop: Arc<Shop>,
    peers: watch::Receiver<Vec<Peer>>,
    stop: watch::Receiver<Stop>,
    began: Instant,
    at_first: Counts,
    last_line: Instant,
    /// HATS catalogs follow what is published, at the end of a batch.
    catalogs: Refresher,
    tasks: JoinSet<(u64, i64, Result<PixelEnd, sync::Error>)>,
    batches: BTreeMap<u64, Tally>,
    /// Tiles of each lease that is under way.
    tokens: BTreeMap<i64, usize>,
    claimed: u64,
    total: Tally,
    plan: Option<Plan>,
    is_swept: bool,
}

/// What to do next.
enum Next {
    /// Lease more at once.
    Lease,
    /// Wait for something to happen, at most so long.
    Wait(Duration),
    End(End),
}

impl Run {
    fn settings(&self) -> Arc<Settings> {
        self.shop.settings.clone()
    }

    async fn until_nothing_is_left(&mut self) -> Result<End, Error> {
        loop {
            let wait = match self.next().await? {
                Next::Lease => continue,
                Next::End(end) => return Ok(end),
                Next::Wait(wait) => wait,
            };
            tokio::select! {
                Some(ended) = self.tasks.join_next() => self.take_in(ended).await?,
                changed = self.peers.changed() => {
                    // the heart beats as long as we run
                    if changed.is_err() { sleep(wait).await }
                    self.plan = None;
                }
                changed = self.stop.changed() => {
                    if changed.is_err() { sleep(wait).await }
                }
                () = sleep(wait) => self.plan = None,
            }
        }
    }

    /// Leases a batch if there is something to lease and hands free, else says what to wait for.
    async fn next(&mut self) -> Result<Next, Error> {
        let settings = self.settings();
        let poll = Duration::from_secs_f64((settings.taker.lease_s / 3.0).clamp(0.05, 5.0));
        if *self.stop.borrow() > Stop::Not {
            return Ok(Next::End(End::Stopped));
        }
        let under_way: usize = self.tokens.values().sum();
        if settings.max_batches.is_some_and(|max| self.claimed >= max) {
            let is_over = self.tasks.is_empty();
            return Ok(if is_over { Next::End(End::Batches) } else { Next::Wait(poll * 12) });
        }
        if under_way > settings.tiles_per_batch * 2 {
            return Ok(Next::Wait(poll * 12));
        }
        if self.plan.is_none() {
            self.plan = Some(self.look().await?);
        }
        let pixels =
            self.plan.as_mut().map(|p| p.next_batch(settings.tiles_per_batch)).unwrap_or_default();
        if !pixels.is_empty() {
            self.lease(&pixels).await?;
            return Ok(Next::Lease);
        }
        // nothing more of mine: looked at anew when something has happened
        let Some(plan) = self.plan.clone() else { return Ok(Next::Wait(poll)) };
        if !self.tasks.is_empty() {
            return Ok(Next::Wait(poll));
        }
        if plan.is_done() {
            return Ok(Next::End(End::Complete));
        }
        if plan.waiting == 0 && !settings.waits {
            return Ok(Next::End(End::OthersHold));
        }
        (self.shop.tell)(Event::Waiting { others: plan.others, waiting: plan.waiting });
        let until = plan.wait_s.map_or(poll, |s| Duration::from_secs_f64(s.max(0.01)));
        Ok(Next::Wait(until.min(poll)))
    }

    /// What is there to be made, and what of it is mine.
    async fn look(&mut self) -> Result<Plan, Error> {
        let settings = self.settings();
        let (registry, taker) = (&self.shop.site.registry, &settings.taker);
        let pending = patiently(settings.patience, || registry.pending_pixels(taker)).await?;
        let peers =
            patiently(settings.patience, || registry.campaign_peers(&taker.release)).await?;
        let (weight, takes_all) = (settings.weight, taker.only.is_none());
        let me = Peer { node: taker.node.clone(), weight, takes_all };
        // whoever watches the list of nodes need not tell us what we know
        self.peers.mark_unchanged();
        let plan = Plan::new(&me, &peers, &pending);
        if !std::mem::replace(&mut self.is_swept, true) {
            let mine: BTreeSet<Pixel> = plan.mine.iter().map(|(pixel, _)| *pixel).collect();
            let folder = &settings.scratch_folder;
            // a folder of somebody's own may hold more of the archive than runs have brought
            let tried = match folder.starts_with(self.shop.site.lake.private("")) {
                true => None,
                false => Some(registry.tried_tiles(taker.lake_id).await?),
            };
            let is_over = |tile: &Tile| {
                let is_ours = tried.as_ref().is_none_or(|tried| tried.contains(&tile.to_string()));
                is_ours && !mine.contains(&tile.pixel)
            };
            match scratch::sweep(folder, &settings.production, is_over) {
                Ok(0) => {}
                Ok(bytes) => tracing::info!("{bytes} bytes of earlier runs were swept"),
                Err(e) => tracing::warn!("the scratch folder could not be swept: {e}"),
            }
        }
        Ok(plan)
    }

    async fn lease(&mut self, pixels: &[Pixel]) -> Result<(), Error> {
        let settings = self.settings();
        let registry = &self.shop.site.registry;
        patiently(settings.patience, || registry.make_leases(pixels)).await?;
        let take = || registry.take_leases(&settings.taker, pixels);
        // where the answer was lost, the leases lapse: there is no way to know them
        let leases = patiently(settings.patience, take).await?;
        if leases.is_empty() {
            return Ok(());
        }
        self.claimed += 1;
        let tiles: usize = leases.iter().map(|lease| lease.tiles.len()).sum();
        tracing::info!(batch = self.claimed, pixels = leases.len(), tiles, "leased");
        self.batches.insert(self.claimed, Tally::new(leases.len(), tiles));
        for lease in leases {
            let (number, token) = (self.claimed, lease.token);
            self.tokens.insert(token, lease.tiles.len());
            let lost = self.shop.held.add(token);
            let shop = self.shop.clone();
            self.tasks.spawn(async move { (number, token, shop.pixel(lease, lost).await) });
        }
        Ok(())
    }

    /// A pixel has ended.
    async fn take_in(
        &mut self,
        ended: Result<(u64, i64, Result<PixelEnd, sync::Error>), tokio::task::JoinError>,
    ) -> Result<(), Error> {
        let (number, token, ended) = match ended {
            Ok(ended) => ended,
            Err(e) if e.is_cancelled() => return Ok(()),
            Err(e) => std::panic::resume_unwind(e.into_panic()),
        };
        let tiles = self.tokens.remove(&token).unwrap_or(0);
        let end = ended?;
        (self.shop.tell)(Event::Tiles(tiles));
        // what failed may be tried again; and was that all?
        if end.failed + end.lost > 0 || self.tasks.is_empty() {
            self.plan = None;
        }
        let Some(tally) = self.batches.get_mut(&number) else { return Ok(()) };
        for tally in [tally, &mut self.total] {
            tally.pixels = tally.pixels.saturating_sub(1);
            tally.made += end.made;
            tally.failed += end.failed;
            tally.lost += end.lost;
            tally.files_in += end.files_in;
            tally.bytes_in += end.bytes_in;
            tally.bytes_fetched += end.bytes_fetched;
            tally.bytes_out += end.bytes_out;
        }
        match self.batches.get(&number) {
            Some(tally) if tally.pixels == 0 => self.line(number).await,
            _ => Ok(()),
        }
    }

    async fn line(&mut self, number: u64) -> Result<(), Error> {
        let Some(tally) = self.batches.remove(&number) else { return Ok(()) };
        let settings = self.settings();
        let (registry, release) = (&self.shop.site.registry, &settings.taker.release);
        let counts = patiently(settings.patience, || registry.campaign_counts(release)).await?;
        let since = std::mem::replace(&mut self.last_line, Instant::now());
        let gap_s = since.elapsed().as_secs_f64().max(1e-9);
        let elapsed_s = self.began.elapsed().as_secs_f64();
        let ended = |c: &Counts| c.done + c.failed;
        let gained = ended(&counts) - ended(&self.at_first);
        let batch = Batch {
            event: "batch",
            batch: number,
            node: settings.taker.node.clone(),
            tiles: tally.tiles,
            made: tally.made,
            failed: tally.failed,
            lost: tally.lost,
            files_in: tally.files_in,
            bytes_in: tally.bytes_in,
            bytes_fetched: tally.bytes_fetched,
            bytes_out: tally.bytes_out,
            seconds: tally.began.elapsed().as_secs_f64(),
            mb_per_s: tally.bytes_in as f64 / 1e6 / gap_s,
            elapsed_s,
            tiles_done: counts.done,
            tiles_left: counts.left,
            tiles_failed: counts.failed,
            eta_s: (gained > 0).then(|| elapsed_s * counts.left as f64 / gained as f64),
        };
        (self.shop.tell)(Event::Batch(Box::new(batch)));
        let Site { registry, lake, .. } = &self.shop.site;
        self.catalogs.refresh_if_due(registry, lake).await;
        Ok(())
    }

    /// Ends what is under way within the time that there is, gives all leases back, and leaves.
    async fn give_back(&mut self, since: Instant) -> Result<(), Error> {
        let settings = self.settings();
        let deadline = tokio::time::Instant::from_std(since);
        let (last_call, deadline) =
            (deadline + settings.grace.mul_f64(1.0 - GIVING_BACK), deadline + settings.grace);
        while !self.tasks.is_empty() && *self.stop.borrow() < Stop::Now {
            tokio::select! {
                Some(ended) = self.tasks.join_next() => self.take_in(ended).await?,
                () = tokio::time::sleep_until(last_call) => break,
                changed = self.stop.changed() => if changed.is_err() { break },
            }
        }
        let shop = self.shop.clone();
        let give = async {
            // none is cut off between its rename and its commit
            let _turn = shop.publishing.lock().await;
            self.tasks.abort_all();
            while self.tasks.join_next().await.is_some() {}
            let registry = &shop.site.registry;
            // no other run is at work in this lake: what it holds is ours
            let tokens = registry.leases_of(settings.taker.lake_id).await?;
            let why = "the run was told to stop";
            registry.give_leases_back(&tokens, Ending::Released, why).await?;
            registry.leave_campaign(settings.taker.run_id).await
        };
        match tokio::time::timeout_at(deadline, give).await {
            Ok(given) => Ok(given?),
            Err(_) => {
                tracing::warn!("the leases could not be given back in time: they will lapse");
                Ok(())
            }
        }
    }

    fn report(&self, end: End, tiles: Counts) -> Report {
        let settings = self.settings();
        Report {
            event: "end",
            version: 1,
            node: settings.taker.node.clone(),
            end,
            batches: self.claimed,
            made: self.total.made,
            failed: self.total.failed,
            lost: self.total.lost,
            bytes_in: self.total.bytes_in,
            bytes_out: self.total.bytes_out,
            seconds: self.began.elapsed().as_secs_f64(),
            tiles,
        }
    }
}
