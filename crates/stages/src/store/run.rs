//! A run: pixels are made side by side, and whatever is wrong with one is that one's.

use super::encode::Layout;
use super::make::{Opened, beside, is_current, open, without_lost, write};
use crate::derive::{Fault, plan};
use bifrost_core::guard::guard;
use bifrost_core::layout::{Lake, SPECTRA};
use bifrost_core::outcome::Outcome;
use bifrost_core::publish::{self, Claim, Staging};
use bifrost_core::tile::{Pixel, Tile};
use bifrost_core::withdraw::{Version, set_aside};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// A pixel whose store is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The pixel.
    pub pixel: Pixel,
    /// Its tiles, and their files of `spectra`, relative to the lake.
    pub tiles: BTreeMap<Tile, PathBuf>,
    /// Why what is there is stale, where something is there.
    pub stale: Option<String>,
}

/// How it is made.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Pixels at a time.
    pub jobs: usize,
    /// Whether inputs are verified by the checksums that they state.
    pub verify: bool,
    /// Whether stores are made again that are up to date.
    pub force: bool,
    /// How arrays are stored.
    pub layout: Layout,
}

/// How a pixel ended.
#[derive(Debug, Clone, Serialize)]
pub struct Ending {
    /// The pixel.
    pub pixel: Pixel,
    /// The outcome: the worst of its tiles, if some were left out.
    pub outcome: Outcome,
    /// Why what was there was stale.
    pub stale: Option<String>,
    /// Tiles in its store.
    pub tiles: usize,
    /// Rows in its store.
    pub rows: u64,
    /// Bytes of its tiles' files.
    pub bytes_in: u64,
    /// Bytes of its store.
    pub bytes_out: Option<u64>,
    /// Time it took.
    pub seconds: f64,
    /// Where the store lies.
    pub path: Option<PathBuf>,
    /// What is wrong, and with which tile.
    pub reasons: Vec<String>,
}

/// What a run did.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How pixels ended, in their order.
    pub pixels: Vec<Ending>,
    /// Pixels that it did not come to.
    pub left: usize,
}

/// What arrays take in stores, to what they take in Parquet: of mock spectra.
pub const STORE_TO_PARQUET: f64 = 1.15;

/// What arrays take, in Parquet and in stores.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Budget {
    /// Files of `spectra`.
    pub parquet_bytes: u64,
    /// Spectra stores that are there.
    pub store_bytes: u64,
    /// Those that are to be made: to their tiles' files as those that are there, else as
    /// [`STORE_TO_PARQUET`].
    pub to_make_bytes: u64,
}

impl Budget {
    /// Of a lake in which stores of some pixels are to be made.
    #[must_use]
    pub fn of(lake: &Lake, jobs: &[Job]) -> Self {
        let size = |path: PathBuf| std::fs::metadata(path).map_or(0, |about| about.len());
        let in_lake = |path: &PathBuf| size(lake.root().join(path));
        let mut budget = Self::default();
        let (mut stored, mut storing) = (0, 0);
        for job in self::jobs(lake) {
            let parquet: u64 = job.tiles.values().map(in_lake).sum();
            let store = size(lake.store(job.pixel));
            budget.parquet_bytes += parquet;
            budget.store_bytes += store;
            stored += if store > 0 { parquet } else { 0 };
        }
        let is_new = |job: &&Job| size(lake.store(job.pixel)) == 0;
        storing +=
            jobs.iter().filter(is_new).flat_map(|job| job.tiles.values()).map(in_lake).sum::<u64>();
        let ratio =
            if stored > 0 { budget.store_bytes as f64 / stored as f64 } else { STORE_TO_PARQUET };
        budget.to_make_bytes = (storing as f64 * ratio) as u64;
        budget
    }
}

/// Every pixel of which a tile has a file of `spectra` in the lake.
#[must_use]
pub fn jobs(lake: &Lake) -> Vec<Job> {
    let mut pixels: BTreeMap<u32, Job> = BTreeMap::new();
    for plan::Job { tile, input, .. } in plan::tiles(lake, &crate::stage::name(SPECTRA)) {
        let pixel = tile.pixel;
        let new = || Job { pixel, tiles: BTreeMap::new(), stale: None };
        pixels.entry(pixel.get()).or_insert_with(new).tiles.insert(tile, input);
    }
    pixels.into_values().collect()
}

/// Makes stores and publishes them; `is_stopping` is asked before each, `ended` told after each.
///
/// # Errors
/// Where the lake's private folder refuses.
pub fn run(
    lake: &Lake,
    jobs: &[Job],
    settings: &Settings,
    is_stopping: &(dyn Fn() -> bool + Sync),
    ended: &(dyn Fn(&Ending) + Sync),
) -> Result<Report, publish::Error> {
    let staging = Staging::open(lake)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(settings.jobs.max(1)).build();
    let one = |job: &Job| {
        if is_stopping() {
            return None;
        }
        let ending = pixel(lake, &staging, job, settings);
        ended(&ending);
        Some(ending)
    };
    let all = || jobs.par_iter().map(one).collect::<Vec<_>>();
    let made = match pool {
        Ok(pool) => pool.install(all),
        // no threads of our own: those that there are will do
        Err(_) => all(),
    };
    let pixels: Vec<Ending> = made.into_iter().flatten().collect();
    Ok(Report { left: jobs.len() - pixels.len(), pixels })
}

fn pixel(lake: &Lake, staging: &Staging, job: &Job, settings: &Settings) -> Ending {
    let began = Instant::now();
    let mut ending = Ending {
        pixel: job.pixel,
        outcome: Outcome::Unchanged,
        stale: job.stale.clone(),
        tiles: 0,
        rows: 0,
        bytes_in: 0,
        bytes_out: None,
        seconds: 0.0,
        path: None,
        reasons: Vec::new(),
    };
    match guard(|| make(lake, staging, job, settings, &mut ending)) {
        Ok(Ok(outcome)) => ending.outcome = ending.outcome.max(outcome),
        Ok(Err(fault)) => ending.fail(None, &fault),
        Err(panicked) => {
            ending.outcome = Outcome::Internal;
            ending.reasons.push(format!("a fault of the stage: {}", panicked.fault()));
        }
    }
    ending.seconds = began.elapsed().as_secs_f64();
    ending
}

impl Ending {
    fn fail(&mut self, tile: Option<&Tile>, fault: &Fault) {
        self.outcome = self.outcome.max(fault.outcome());
        self.reasons.push(match tile {
            Some(tile) => format!("{tile}: {fault}"),
            None => fault.to_string(),
        });
    }
}

fn make(
    lake: &Lake,
    staging: &Staging,
    job: &Job,
    settings: &Settings,
    ending: &mut Ending,
) -> Result<Outcome, Fault> {
    let claim = staging.claim_store(job.pixel)?;
    let live = claim.live()?;
    let (stored, damage) = beside(&live);
    let mut inputs: Vec<Opened> = Vec::new();
    for (tile, path) in &job.tiles {
        match open(tile, &lake.root().join(path), stored.as_ref()) {
            Ok(opened) => inputs.push(opened),
            Err(fault) => ending.fail(Some(tile), &fault),
        }
    }
    if let (false, [live]) = (settings.force, &live[..])
        && is_current(live, &inputs, settings.layout)
    {
        ending.told(&inputs, live.clone());
        return Ok(Outcome::Unchanged);
    }
    let lost = without_lost(&mut inputs, damage)?;
    lost.iter().for_each(|fault| ending.fail(None, fault));
    if settings.verify {
        inputs.retain(|Opened { tile, input, .. }| {
            match input.states_content.then(|| input.verify()) {
                Some(Err(fault)) => {
                    ending.fail(Some(tile), &fault);
                    false
                }
                _ => true,
            }
        });
    }
    loop {
        if inputs.is_empty() {
            return Ok(without_tiles(lake, job, &live)?);
        }
        match write(claim.draft(), job.pixel, &inputs, settings.layout) {
            Ok(()) => break,
            Err((Some(tile), fault)) if fault.outcome() != Outcome::Disk => {
                ending.fail(Some(&tile), &fault);
                inputs.retain(|opened| opened.tile != tile);
            }
            Err((tile, fault)) => {
                ending.fail(tile.as_ref(), &fault);
                return Ok(ending.outcome);
            }
        }
    }
    publish(claim, &inputs, ending)
}

/// A pixel without tiles that can be read: where it has none at all, its store is nobody's any more.
fn without_tiles(lake: &Lake, job: &Job, live: &[PathBuf]) -> Result<Outcome, publish::Error> {
    if job.tiles.is_empty() {
        for path in live {
            if let Some(version) = Version::of(path)? {
                set_aside(lake, path.strip_prefix(lake.root()).unwrap_or(path), version)?;
            }
        }
    }
    Ok(Outcome::Empty)
}

fn publish(claim: Claim, inputs: &[Opened], ending: &mut Ending) -> Result<Outcome, Fault> {
    let rows = inputs.iter().map(Opened::num_rows).sum();
    let published = claim.publish(rows)?;
    ending.told(inputs, published.path);
    Ok(Outcome::Converted)
}

impl Ending {
    /// What is published.
    fn told(&mut self, inputs: &[Opened], path: PathBuf) {
        self.tiles = inputs.len();
        self.rows = inputs.iter().map(Opened::num_rows).sum();
        self.bytes_in =
            inputs.iter().map(|opened| opened.input.parent.size_bytes.unsigned_abs()).sum();
        self.bytes_out = std::fs::metadata(&path).ok().map(|about| about.len());
        self.path = Some(path);
    }
}
