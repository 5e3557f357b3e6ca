//! A run: tiles are made side by side, what is made is published as it comes, and whatever is wrong
//! with one tile is that tile's.

use super::Fault;
use super::make::{Made, Recipe, make};
use super::plan::Job;
use crate::stage::FromProduct;
use bifrost_core::guard::guard;
use bifrost_core::layout::Lake;
use bifrost_core::outcome::Outcome;
use bifrost_core::publish::{self, Staging};
use bifrost_core::quarantine::{self, Record};
use bifrost_core::registry::stages::StageAttempt;
use bifrost_core::sync::{Derived, Landed};
use bifrost_core::tile::{FileName, Tile};
use bifrost_core::withdraw::Version;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Drafts that are published together, at most.
const TOGETHER: usize = 64;

/// How a stage is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Tiles at a time.
    pub jobs: usize,
    /// Tries of a tile that the disk refuses.
    pub tries: u32,
    /// Pause after the first of them; each is four times as long as the last.
    pub pause: Duration,
    /// Whether inputs are verified by the checksums that they state.
    pub verify: bool,
    /// Whether tiles are made again that are up to date.
    pub force: bool,
}

/// How a tile ended.
#[derive(Debug, Clone, Serialize)]
pub struct Ending {
    /// The tile.
    pub tile: Tile,
    /// The outcome; none where its input was replaced while it was read.
    pub outcome: Option<Outcome>,
    /// Why what was there was stale.
    pub stale: Option<String>,
    /// Rows published.
    pub rows: Option<u64>,
    /// Bytes of its input.
    pub bytes_in: u64,
    /// Bytes published.
    pub bytes_out: Option<u64>,
    /// Time it took.
    pub seconds: f64,
    /// Tries it took.
    pub tries: u32,
    /// Where the published file lies.
    pub path: Option<PathBuf>,
    /// What is wrong.
    pub reasons: Vec<String>,
    /// What to do.
    pub advice: Option<String>,
}

/// What a run did.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How tiles ended, in the order of tiles.
    pub tiles: Vec<Ending>,
    /// Tiles that it did not come to, or whose input was replaced while it was read.
    pub left: usize,
}

/// How what was made is published and recorded.
pub trait Publisher {
    /// Why it cannot be at all.
    type Error;

    /// Publishes drafts; says of each what became of it.
    ///
    /// # Errors
    /// What ends the run.
    fn publish(&mut self, made: &[Derived]) -> Result<Vec<Landed>, Self::Error>;

    /// Notes how tiles ended of which nothing is published.
    ///
    /// # Errors
    /// What ends the run.
    fn note(&mut self, attempts: &[StageAttempt]) -> Result<(), Self::Error>;
}

/// Publishes by rename alone: the next sync registers.
#[derive(Debug)]
pub struct Renaming<'a>(pub &'a Lake);

impl Publisher for Renaming<'_> {
    type Error = publish::Error;

    fn publish(&mut self, made: &[Derived]) -> Result<Vec<Landed>, publish::Error> {
        let one = |made: &Derived| {
            if Version::of(&self.0.root().join(&made.input))? != Some(made.version) {
                return Ok(Landed::Overtaken);
            }
            let rows = made.attempt.rows.map_or(0, i64::unsigned_abs);
            let published = made.claim.publish_as(rows, uuid::Uuid::now_v7())?;
            Ok(Landed::Published { path: published.path, size_bytes: published.size_bytes })
        };
        made.iter().map(one).collect()
    }

    fn note(&mut self, _attempts: &[StageAttempt]) -> Result<(), publish::Error> {
        Ok(())
    }
}

/// A tile on its way to its end.
struct Done {
    ending: Ending,
    input: PathBuf,
    draft: Option<Derived>,
}

/// Makes the tiles of `jobs`. Once `is_stopping` says so, those under way are ended and no more begun;
/// `ended` is called as each tile ends.
///
/// # Errors
/// What the publisher says, or where the lake cannot be written at all.
pub fn run<P: Publisher>(
    lake: &Lake,
    stage: &dyn FromProduct,
    jobs: &[Job],
    settings: &Settings,
    publisher: &mut P,
    is_stopping: &(dyn Fn() -> bool + Sync),
    ended: &dyn Fn(&Ending),
) -> Result<Report, P::Error>
where
    P::Error: From<publish::Error>,
{
    let Some(recipe) = Recipe::of(stage) else { return Ok(Report::default()) };
    let staging = Staging::open(lake)?;
    let (next, has_failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let bench = Bench { lake, staging: &staging, recipe: &recipe, settings };
    let mut tiles = Vec::new();
    let threads = settings.jobs.clamp(1, jobs.len().max(1));
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(threads);
        for _ in 0..threads {
            let sender: SyncSender<Done> = sender.clone();
            let (next, has_failed, bench) = (&next, &has_failed, &bench);
            scope.spawn(move || {
                while !has_failed.load(Ordering::Relaxed) && !is_stopping() {
                    let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    // the other end went away: the run has failed, and says so
                    if sender.send(bench.tile(job)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let collected = collect(&bench, &receiver, publisher, &mut |ending| {
            ended(&ending);
            tiles.push(ending);
        });
        has_failed.store(collected.is_err(), Ordering::Relaxed);
        drop(receiver);
        collected
    })?;
    tiles.sort_by(|a, b| a.tile.cmp(&b.tile));
    let ended = tiles.iter().filter(|ending| ending.outcome.is_some()).count();
    Ok(Report { left: jobs.len() - ended, tiles })
}

/// Publishes what comes: whatever is ready when the last publication has ended goes together.
fn collect<P: Publisher>(
    bench: &Bench<'_>,
    receiver: &Receiver<Done>,
    publisher: &mut P,
    ended: &mut dyn FnMut(Ending),
) -> Result<(), P::Error> {
    while let Ok(first) = receiver.recv() {
        let done: Vec<Done> =
            std::iter::once(first).chain(receiver.try_iter().take(TOGETHER - 1)).collect();
        let (mut drafts, mut made, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for Done { ending, input, draft } in done {
            match draft {
                Some(draft) => {
                    drafts.push(draft);
                    made.push((ending, input));
                }
                None => others.push((ending, input)),
            }
        }
        if !drafts.is_empty() {
            let landed = publisher.publish(&drafts)?;
            made.iter_mut().zip(landed).for_each(|((ending, _), landed)| ending.land(landed));
        }
        let attempts: Vec<_> = others.iter().filter_map(|(ending, _)| ending.attempt()).collect();
        if !attempts.is_empty() {
            publisher.note(&attempts)?;
        }
        for (mut ending, input) in made.into_iter().chain(others) {
            bench.remember(&mut ending, input);
            ended(ending);
        }
    }
    Ok(())
}

/// What all threads share.
struct Bench<'a> {
    lake: &'a Lake,
    staging: &'a Staging,
    recipe: &'a Recipe<'a>,
    settings: &'a Settings,
}

impl Bench<'_> {
    /// Makes a tile; where the disk refuses, again after a pause.
    fn tile(&self, job: &Job) -> Done {
        let began = Instant::now();
        let mut pause = self.settings.pause;
        let mut tries = 1;
        let mut done = self.attempt(job);
        while done.ending.outcome == Some(Outcome::Disk) && tries < self.settings.tries {
            std::thread::sleep(pause);
            pause = pause.saturating_mul(4);
            tries += 1;
            done = self.attempt(job);
        }
        (done.ending.tries, done.ending.seconds) = (tries, began.elapsed().as_secs_f64());
        if let (Some(draft), Some(attempt)) = (&mut done.draft, done.ending.attempt()) {
            draft.attempt = attempt;
        }
        done
    }

    fn attempt(&self, job: &Job) -> Done {
        let input = self.lake.root().join(&job.input);
        let mut ending = Ending::of(job);
        ending.bytes_in = std::fs::metadata(&input).map_or(0, |about| about.len());
        let made = guard(|| -> Result<_, Fault> {
            let claim = self.staging.claim(&self.recipe.about.product(), &job.tile)?;
            let made = make(self.recipe, self.lake, &claim, &job.tile, &input, self.settings)?;
            if let Made::Draft { .. } = &made {
                claim.flush()?;
            }
            Ok((claim, made))
        });
        let mut draft = None;
        match made {
            Ok(Ok((_, Made::Unchanged(path)))) => ending.is_unchanged(path),
            Ok(Ok((claim, Made::Draft { rows, version }))) => {
                let is_empty = rows == 0;
                ending.outcome = Some(if is_empty { Outcome::Empty } else { Outcome::Converted });
                ending.rows = Some(rows);
                draft = ending.attempt().map(|attempt| Derived {
                    claim: Arc::new(claim),
                    input: job.input.clone(),
                    version,
                    attempt,
                });
            }
            Ok(Err(fault)) => {
                ending.outcome = Some(fault.outcome());
                ending.reasons = vec![fault.to_string()];
                ending.advice = fault.advice().map(str::to_owned);
            }
            Err(panicked) => {
                ending.outcome = Some(Outcome::Internal);
                ending.reasons = vec![format!("a fault of the stage: {}", panicked.fault())];
            }
        }
        Done { ending, input, draft }
    }

    /// Writes or clears the quarantine record.
    fn remember(&self, ending: &mut Ending, input: PathBuf) {
        let Some(outcome) = ending.outcome else { return };
        let product = self.recipe.about.product();
        let recorded = if outcome.is_quarantined() {
            let record = Record {
                product,
                tile: Some(ending.tile.clone()),
                outcome,
                reasons: ending.reasons.clone(),
                advice: ending.advice.clone(),
                sources: vec![input],
                at: chrono::Utc::now(),
            };
            quarantine::record(self.lake, &record)
        } else {
            quarantine::clear(self.lake, &product, &ending.tile, &[])
        };
        if let Err(error) = recorded {
            ending.outcome = Some(outcome.max(Outcome::Disk));
            ending.reasons.push(error.to_string());
        }
    }
}

impl Ending {
    fn of(job: &Job) -> Self {
        Self {
            tile: job.tile.clone(),
            outcome: None,
            stale: job.stale.clone(),
            rows: None,
            bytes_in: 0,
            bytes_out: None,
            seconds: 0.0,
            tries: 1,
            path: None,
            reasons: Vec::new(),
            advice: None,
        }
    }

    fn is_unchanged(&mut self, path: PathBuf) {
        let name: Option<FileName> = path.file_name().and_then(|n| n.to_str()?.parse().ok());
        self.outcome = Some(Outcome::Unchanged);
        self.rows = name.map(|name| name.rows);
        self.bytes_out = std::fs::metadata(&path).ok().map(|about| about.len());
        self.path = Some(path);
    }

    fn land(&mut self, landed: Landed) {
        match landed {
            Landed::Published { path, size_bytes } => {
                (self.path, self.bytes_out) = (Some(path), Some(size_bytes));
            }
            Landed::Overtaken => {
                self.outcome = None;
                self.reasons = vec!["its input was replaced while it was read".to_owned()];
            }
            Landed::Refused(reason) => {
                self.outcome = Some(Outcome::Internal);
                self.reasons = vec![reason];
            }
        }
    }

    fn attempt(&self) -> Option<StageAttempt> {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Some(StageAttempt {
            tile: self.tile.clone(),
            outcome: self.outcome?,
            error: (!self.reasons.is_empty()).then(|| self.reasons.join("; ")),
            rows: self.rows.map(signed),
            bytes_in: signed(self.bytes_in),
            bytes_out: self.bytes_out.map(signed),
            seconds: self.seconds,
            tries: i32::try_from(self.tries).unwrap_or(i32::MAX),
        })
    }
}
