//! `bifrost stage run spectra-h5`: the spectra stores of this lake's pixels, what is missing or stale.

use super::report::{megabytes, told};
use super::run::Args;
use crate::commands::run::{stop_on_signals, sync_lake};
use crate::context::Context;
use crate::exit::{Exit, TryAgain};
use crate::printer::{size, table};
use crate::{datasheet, progress};
use anyhow::Context as _;
use bifrost_campaign::Stop;
use bifrost_core::layout::Lake;
use bifrost_core::outcome::Outcome;
use bifrost_core::publish::Running;
use bifrost_core::registry::Registry;
use bifrost_stages::store::{self, Budget, Ending, Job, Layout, Settings};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZero;
use std::time::Instant;

/// What there is to make.
struct Plan {
    jobs: Vec<Job>,
    why: &'static str,
    up_to_date: usize,
}

/// Runs the stage.
pub(super) fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let options = args.which.options.clone().or(&ctx.settings.stage);
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let settings = Settings {
        jobs: options.jobs.map_or(cores, NonZero::get),
        verify: !options.no_verify.unwrap_or(false),
        force: args.which.force,
        layout: Layout { compression: options.store_compression.unwrap_or_default() },
    };
    let lake = ctx.lake()?;
    let registry = match options.no_registry.unwrap_or(false) {
        true => None,
        false => Some(ctx.registry_of(&lake)?),
    };
    if args.which.dry_run {
        let plan = plan(ctx, args, &lake, registry.as_ref())?;
        let budget = Budget::of(&lake, &plan.jobs);
        ctx.printer.data(&Foreseen::new(&plan, &lake, budget)?, Foreseen::show)?;
        return Ok(Exit::Ok);
    }
    let Some(_running) = Running::begin(&lake, &format!("stage-{}", store::NAME))? else {
        let text = format!("another process runs stage {} in this lake", store::NAME);
        return Err(TryAgain(text).into());
    };
    let stop = ctx.block_on(async { stop_on_signals() })?;
    // the registry is to know what lies here, whoever put it there
    if let Some(registry) = &registry {
        ctx.block_on(sync_lake(ctx, registry, &lake))?;
    }
    let plan = plan(ctx, args, &lake, registry.as_ref())?;
    if plan.jobs.is_empty() && plan.up_to_date == 0 {
        ctx.printer.note("no tile of spectra is there to make it of");
        return Ok(Exit::NothingMatched);
    }
    let room = Room::of(&lake, Budget::of(&lake, &plan.jobs))?;
    if !plan.jobs.is_empty() {
        ctx.printer.note(&room.show());
    }
    let start = Instant::now();
    let bar = progress::bar(&ctx.printer, plan.jobs.len() as u64, "pixels");
    let is_stopping = || *stop.borrow() > Stop::Not;
    let made = store::run(&lake, &plan.jobs, &settings, &is_stopping, &|_| bar.inc(1))?;
    bar.finish_and_clear();
    if let Some(registry) = &registry {
        ctx.block_on(sync_lake(ctx, registry, &lake))?;
        datasheet::refresh(ctx, registry, &lake)?;
    }
    let room = Room::of(&lake, Budget::of(&lake, &[]))?;
    let report = Report::new(&plan, made, room, start.elapsed().as_secs_f64());
    ctx.printer.data(&report, Report::show)?;
    match report.left {
        0 if report.has_failed() => Ok(Exit::Quarantined),
        0 => Ok(Exit::Ok),
        left => Err(TryAgain(format!("{left} pixels are left")).into()),
    }
}

/// What is to be made: with a registry what it calls missing or stale, else everything, and each
/// pixel's files tell.
fn plan(
    ctx: &Context,
    args: &Args,
    lake: &Lake,
    registry: Option<&Registry>,
) -> anyhow::Result<Plan> {
    let mut jobs = store::jobs(lake);
    let named = args.which.named(ctx)?;
    if let Some(named) = &named {
        jobs.retain(|job| job.tiles.keys().any(|tile| named.contains(tile)));
    }
    let all = jobs.len();
    let why = match registry {
        Some(_) if !args.which.force => "missing",
        _ if args.which.force => "asked for",
        _ => "to be looked at",
    };
    if let Some(registry) = registry {
        let lake_id = lake.identity().lake_id;
        let pixels = ctx.ask(|| registry.store_pixels(lake_id, store::VERSION))?;
        let mut wanted: HashMap<_, _> = pixels.into_iter().collect();
        jobs.retain_mut(|job| match wanted.remove(&job.pixel) {
            Some(reason) => {
                job.stale = reason;
                true
            }
            None => args.which.force || !lake.store(job.pixel).exists(),
        });
        if named.is_none() {
            // stores of pixels that have no tile any more
            let orphans = wanted.into_iter().filter(|(pixel, _)| lake.store(*pixel).exists());
            jobs.extend(orphans.map(|(pixel, stale)| Job { pixel, tiles: BTreeMap::new(), stale }));
        }
    }
    Ok(Plan { up_to_date: all.saturating_sub(jobs.len()), jobs, why })
}

/// What arrays take, and what is free.
#[derive(Debug, Serialize)]
pub struct Room {
    #[serde(flatten)]
    budget: Budget,
    free_bytes: u64,
}

impl Room {
    pub fn of(lake: &Lake, budget: Budget) -> anyhow::Result<Self> {
        let disk = rustix::fs::statvfs(lake.root());
        let disk = disk.with_context(|| format!("failed to look at {}", lake.root().display()))?;
        Ok(Self { budget, free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize) })
    }

    pub fn show(&self) -> String {
        let told = |bytes: u64| size(i64::try_from(bytes).unwrap_or(i64::MAX));
        let Budget { parquet_bytes, store_bytes, to_make_bytes } = self.budget;
        let to_make = match to_make_bytes {
            0 => String::new(),
            bytes => format!(" (and about {} to be made)", told(bytes)),
        };
        format!(
            "storage: spectra in Parquet {}, in stores {}{to_make}; {} are free",
            told(parquet_bytes),
            told(store_bytes),
            told(self.free_bytes)
        )
    }
}

/// What would be made.
#[derive(Debug, Serialize)]
struct Foreseen {
    version: u32,
    dry_run: bool,
    stage: &'static str,
    pixels: Vec<Planned>,
    up_to_date: usize,
    storage: Room,
}

#[derive(Debug, Serialize)]
struct Planned {
    pixel: u32,
    tiles: usize,
    why: String,
}

impl Foreseen {
    fn new(plan: &Plan, lake: &Lake, budget: Budget) -> anyhow::Result<Self> {
        let planned = |job: &Job| Planned {
            pixel: job.pixel.get(),
            tiles: job.tiles.len(),
            why: job.stale.clone().unwrap_or_else(|| plan.why.to_owned()),
        };
        Ok(Self {
            version: 1,
            dry_run: true,
            stage: store::NAME,
            pixels: plan.jobs.iter().map(planned).collect(),
            up_to_date: plan.up_to_date,
            storage: Room::of(lake, budget)?,
        })
    }

    fn show(&self) -> String {
        let mut rows = table(&["pixel", "tiles", "why"], &[0, 1]);
        for Planned { pixel, tiles, why } in &self.pixels {
            rows.add_row([pixel.to_string(), tiles.to_string(), why.clone()]);
        }
        let (pixels, up_to_date) = (self.pixels.len(), self.up_to_date);
        format!(
            "{rows}\n{pixels} pixels, {up_to_date} more are up to date; nothing was written\n{}",
            self.storage.show()
        )
    }
}

/// What was done.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    stage: &'static str,
    stage_version: u32,
    totals: BTreeMap<Outcome, usize>,
    up_to_date: usize,
    left: usize,
    rows: u64,
    bytes_in: u64,
    bytes_out: u64,
    seconds: f64,
    storage: Room,
    pixels: Vec<Ending>,
}

impl Report {
    fn new(plan: &Plan, made: store::Report, storage: Room, seconds: f64) -> Self {
        let mut totals = BTreeMap::new();
        for ending in &made.pixels {
            *totals.entry(ending.outcome).or_default() += 1;
        }
        let new = || made.pixels.iter().filter(|e| e.outcome != Outcome::Unchanged);
        Self {
            version: 1,
            stage: store::NAME,
            stage_version: store::VERSION,
            up_to_date: plan.up_to_date + totals.get(&Outcome::Unchanged).copied().unwrap_or(0),
            totals,
            left: made.left,
            rows: new().map(|ending| ending.rows).sum(),
            bytes_in: new().map(|ending| ending.bytes_in).sum(),
            bytes_out: new().filter_map(|ending| ending.bytes_out).sum(),
            seconds,
            storage,
            pixels: made.pixels,
        }
    }

    fn has_failed(&self) -> bool {
        self.totals.keys().any(|outcome| outcome.is_quarantined())
    }

    fn show(&self) -> String {
        let head = ["pixel", "outcome", "tiles", "rows", "MB in", "MB out", "s", "reason"];
        let mut rows = table(&head, &[0, 2, 3, 4, 5, 6]);
        for ending in self.pixels.iter().filter(|e| e.outcome != Outcome::Unchanged) {
            let reason = match ending.reasons.is_empty() {
                true => ending.stale.clone().unwrap_or_default(),
                false => ending.reasons.join("; "),
            };
            rows.add_row([
                ending.pixel.to_string(),
                ending.outcome.to_string(),
                ending.tiles.to_string(),
                ending.rows.to_string(),
                megabytes(ending.bytes_in),
                ending.bytes_out.map(megabytes).unwrap_or_default(),
                format!("{:.2}", ending.seconds),
                reason,
            ]);
        }
        let summary = format!(
            "{}: {}: {} rows, {} MB in, {} MB out, {:.2} s\n{}",
            self.stage,
            told(&self.totals, self.up_to_date, &[(self.left, "left")]),
            self.rows,
            megabytes(self.bytes_in),
            megabytes(self.bytes_out),
            self.seconds,
            self.storage.show()
        );
        if rows.is_empty() { summary } else { format!("{rows}\n{summary}") }
    }
}
