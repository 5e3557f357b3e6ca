//! `bifrost run`: from the archive to the lake, unattended: fetch, verify, convert, publish.

use crate::context::Context;
use crate::exit::{Exit, TryAgain, Usage};
use crate::printer::{Printer, size};
use crate::{archive, datasheet, progress};
use anyhow::Context as _;
use bifrost_archive::caller::{Event as Fetching, Tell as TellFetching};
use bifrost_archive::fetch::Fetcher;
use bifrost_archive::key::Production;
use bifrost_archive::repair::{self, Expected};
use bifrost_campaign::notices;
use bifrost_campaign::plan::Plan;
use bifrost_campaign::{End, Error, Event, Report, Settings, Stop, Tell};
use bifrost_core::layout::Lake;
use bifrost_core::registry::Registry;
use bifrost_core::registry::campaign::{Peer, Retry, Taker};
use bifrost_core::sync;
use bifrost_stages::stage::{Nothing, Stage};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// A run ends by itself in its grace; so much later it is cut off.
const OVERTIME: Duration = Duration::from_secs(2);

/// Arguments of `bifrost run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Say what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,
    /// Only tiles that failed before; those that were given up are queued again
    #[arg(long)]
    only_failed: bool,
    /// Only the tiles of a list: names, keys or URLs, one a line
    #[arg(long, value_name = "FILE")]
    tiles: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    archive: archive::Options,
}

/// What may also be set in `bifrost.toml`, under `[run]`, with the same spelling.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[group(skip)]
pub struct Options {
    /// Tiles of a batch: leased together, told of in one line [default: 8]
    #[arg(long, value_name = "N")]
    tiles_per_batch: Option<NonZero<usize>>,
    /// Stop after so many batches
    #[arg(long, value_name = "N")]
    max_batches: Option<u64>,
    /// Tiles that are made at a time [default: one a core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// The archive's files that may be here at once: 50GB [default: 50GB]
    #[arg(long, value_name = "SIZE")]
    scratch: Option<String>,
    /// Keep the archive's files once their tiles are published
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    keep_fits: Option<bool>,
    /// How long a node that is silent keeps its tiles, seconds [default: 300]
    #[arg(long, value_name = "S")]
    lease: Option<f64>,
    /// This node's share, relative to the others' [default: 1]
    #[arg(long, value_name = "X")]
    weight: Option<f64>,
    /// End (exit code 75) when only other nodes' tiles are left, instead of standing in for them
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_wait: Option<bool>,
    /// Within so long a run ends that is told to (SIGTERM, SIGINT), seconds [default: 30]
    #[arg(long, value_name = "S")]
    grace: Option<f64>,
    /// Tries of a tile that fails for a reason that may pass [default: 5]
    #[arg(long, value_name = "N")]
    tries: Option<NonZero<u16>>,
    /// Pause after the first of them, seconds; each is four times as long as the last [default: 60]
    #[arg(long, value_name = "S")]
    retry_pause: Option<f64>,
    /// How long a registry that went away is waited for, seconds [default: 600]
    #[arg(long, value_name = "S")]
    patience: Option<f64>,
    /// Address that notices are posted to, as Slack wants them: {"text": …}
    #[arg(long, value_name = "URL", env = "BIFROST_WEBHOOK", hide_env_values = true)]
    webhook: Option<String>,
    /// Shell command that gets notices on its standard input, as JSON: how mail is sent
    #[arg(long, value_name = "COMMAND")]
    hook: Option<String>,
    /// Percentages of the tiles that are worth a notice [default: 10,25,50,75,90]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    milestones: Option<Vec<u8>>,
    /// Part of the last 50 tries that may fail without a notice [default: 0.2]
    #[arg(long, value_name = "X")]
    failure_rate: Option<f64>,
    /// So long nothing may end without a notice, seconds [default: 1800]
    #[arg(long, value_name = "S")]
    stall_after: Option<f64>,
    /// What is done with a tile: `nothing` tries everything around it
    #[arg(long, value_name = "NAME", hide = true)]
    stage: Option<String>,
}

impl Options {
    /// These, and where they are silent, those.
    fn or(self, those: &Self) -> Self {
        let those = those.clone();
        Self {
            tiles_per_batch: self.tiles_per_batch.or(those.tiles_per_batch),
            max_batches: self.max_batches.or(those.max_batches),
            jobs: self.jobs.or(those.jobs),
            scratch: self.scratch.or(those.scratch),
            keep_fits: self.keep_fits.or(those.keep_fits),
            lease: self.lease.or(those.lease),
            weight: self.weight.or(those.weight),
            no_wait: self.no_wait.or(those.no_wait),
            grace: self.grace.or(those.grace),
            tries: self.tries.or(those.tries),
            retry_pause: self.retry_pause.or(those.retry_pause),
            patience: self.patience.or(those.patience),
            webhook: self.webhook.or(those.webhook),
            hook: self.hook.or(those.hook),
            milestones: self.milestones.or(those.milestones),
            failure_rate: self.failure_rate.or(those.failure_rate),
            stall_after: self.stall_after.or(those.stall_after),
            stage: self.stage.or(those.stage),
        }
    }

    /// Who is told how it goes, if anybody is.
    fn notices(&self, lease_s: f64) -> anyhow::Result<Option<notices::Config>> {
        if self.webhook.is_none() && self.hook.is_none() {
            return Ok(None);
        }
        Ok(Some(notices::Config {
            webhook: self.webhook.clone(),
            command: self.hook.clone(),
            milestones: self.milestones.clone().unwrap_or_else(|| vec![10, 25, 50, 75, 90]),
            failure_rate: within("--failure-rate", self.failure_rate, 0.2, 0.0)?,
            stall_s: within("--stall-after", self.stall_after, 1800.0, 0.0)?,
            every: Duration::from_secs_f64((lease_s / 3.0).clamp(0.2, 30.0)),
        }))
    }

    fn stage(&self, ctx: &Context) -> anyhow::Result<Arc<dyn Stage>> {
        match self.stage.as_deref() {
            None => Ok(Arc::new(ctx.settings.convert.config()?)),
            Some("nothing") => Ok(Arc::new(Nothing)),
            Some(other) => Err(Usage(format!("there is no stage '{other}'")).into()),
        }
    }
}

/// A number within bounds, or its default.
fn within(option: &str, given: Option<f64>, default: f64, least: f64) -> anyhow::Result<f64> {
    let value = given.unwrap_or(default);
    if (least..=1e6).contains(&value) {
        return Ok(value);
    }
    Err(Usage(format!("{option} takes a number from {least} to a million")).into())
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let archive = args.archive.clone().or(&ctx.settings.archive);
    let options = args.options.clone().or(&ctx.settings.run);
    let production = archive.production()?;
    let lake = if args.dry_run { ctx.lake()? } else { ctx.lake_or_new()? };
    let registry = ctx.registry()?;
    let only = only(ctx, args, &registry, &production)?;
    let settings = settings(ctx, &options, &lake, production.clone(), only)?;
    if args.dry_run {
        let plan = ctx.block_on(foresee(&registry, &settings))?;
        ctx.printer.data(&plan, Foreseen::show)?;
        return Ok(Exit::Ok);
    }
    let screen = Screen::new(ctx.printer);
    let caller = archive.caller(screen.fetching(&settings.scratch_folder))?;
    let folder = settings.scratch_folder.clone();
    let fetcher = Fetcher::new(caller, production, &folder, ctx.settings.fetch.config()?)
        .with_context(|| format!("failed to make the folder {}", folder.display()))?;
    let grace = settings.grace;
    let (report, stop) = ctx.block_on(async {
        let stop = stop_on_signals()?;
        let tell = screen.tell();
        let run = bifrost_campaign::run(&registry, &lake, fetcher, settings, stop.clone(), tell);
        let ended = in_time(stop.clone(), grace + OVERTIME, async { run.await.map_err(busy) });
        anyhow::Ok((ended.await, stop))
    })?;
    screen.bar.finish_and_clear();
    let report = report?;
    ctx.printer.line(&report, &summary(&report))?;
    if report.end != End::Stopped {
        let synced = sync_lake(ctx, &registry, &lake);
        ctx.block_on(in_time(stop, Duration::ZERO, synced))?;
        datasheet::refresh(ctx, &registry, &lake)?;
    }
    end(&report)
}

/// A node or a lake that is in use now may be free later.
fn busy(error: Error) -> anyhow::Error {
    match error {
        Error::Busy(_) | Error::NodeTaken(_) => TryAgain(error.to_string()).into(),
        other => other.into(),
    }
}

fn end(report: &Report) -> anyhow::Result<Exit> {
    let failed = match report.end {
        End::OthersHold => {
            let text = format!("{} tiles are left to other nodes", report.tiles.left);
            return Err(TryAgain(text).into());
        }
        End::Stopped if report.tiles.left > 0 => {
            let text = format!("stopped; {} tiles are left", report.tiles.left);
            return Err(TryAgain(text).into());
        }
        End::Batches => report.failed > 0,
        End::Complete | End::Stopped => report.tiles.failed > 0,
    };
    match report.tiles.done + report.tiles.failed + report.tiles.left {
        0 => Ok(Exit::NothingMatched),
        _ if failed => Ok(Exit::Quarantined),
        _ => Ok(Exit::Ok),
    }
}

fn settings(
    ctx: &Context,
    options: &Options,
    lake: &Lake,
    production: Production,
    only: Option<Vec<i64>>,
) -> anyhow::Result<Settings> {
    let stage = options.stage(ctx)?;
    let scratch = options.scratch.as_deref().unwrap_or("50GB");
    let scratch_bytes =
        archive::parse_size(scratch).map_err(|e| Usage(format!("--scratch: {e}")))?;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let lease_s = within("--lease", options.lease, 300.0, 0.5)?;
    let seconds =
        |option, given, default| within(option, given, default, 0.0).map(Duration::from_secs_f64);
    Ok(Settings {
        taker: Taker {
            node: ctx.node(lake),
            lake_id: lake.identity().lake_id,
            run_id: uuid::Uuid::new_v4(),
            release: production.release().clone(),
            stage: stage.name().to_owned(),
            product: stage.product(),
            only,
            lease_s,
        },
        stage,
        weight: within("--weight", options.weight, 1.0, 1e-6)?,
        tiles_per_batch: options.tiles_per_batch.map_or(8, NonZero::get),
        max_batches: options.max_batches,
        jobs: options.jobs.map_or(cores, NonZero::get),
        scratch_bytes,
        scratch_folder: ctx.settings.fetch.folder(ctx)?,
        production,
        keep_fits: options.keep_fits.unwrap_or(false),
        keep_free_bytes: ctx.settings.fetch.config()?.keep_free_bytes,
        waits: !options.no_wait.unwrap_or(false),
        grace: seconds("--grace", options.grace, 30.0)?,
        retry: Retry {
            tries: options.tries.map_or(5, |n| i32::from(n.get())),
            pause_s: within("--retry-pause", options.retry_pause, 60.0, 0.0)?,
        },
        catalog: ctx.settings.sync.products(),
        patience: seconds("--patience", options.patience, 600.0)?,
        notices: options.notices(lease_s)?,
    })
}

/// The tiles that were named, or failed before; none: all that are queued.
fn only(
    ctx: &Context,
    args: &Args,
    registry: &Registry,
    production: &Production,
) -> anyhow::Result<Option<Vec<i64>>> {
    let mut only = None;
    if let Some(path) = &args.tiles {
        let list = std::fs::read_to_string(path);
        let list = list.with_context(|| format!("failed to read the list {}", path.display()))?;
        let production = production.clone();
        let expected = Expected { production, bucket: None, survey: None, program: None };
        let mended = repair::mend(&list, &expected);
        if let Some(refused) = mended.refused.first() {
            return Err(Usage(format!("'{}': {}", refused.was, refused.reason)).into());
        }
        let tiles: Vec<_> = mended.tiles.into_keys().collect();
        let ids = ctx.block_on(registry.tile_ids(&tiles))?;
        if ids.len() < tiles.len() {
            let (known, named) = (ids.len(), tiles.len());
            let text = format!("of {named} tiles named, the inventory knows {known}");
            ctx.printer.note(&text);
        }
        only = Some(ids);
    }
    if args.only_failed {
        let mut failed = ctx.block_on(registry.failed_tiles(production.release()))?;
        if let Some(only) = &only {
            failed.retain(|id| only.contains(id));
        }
        if !args.dry_run {
            ctx.block_on(registry.requeue_tiles(&failed))?;
        }
        only = Some(failed);
    }
    Ok(only)
}

/// The first signal asks to finish, the second to give up.
fn stop_on_signals() -> anyhow::Result<watch::Receiver<Stop>> {
    let (sender, receiver) = watch::channel(Stop::Not);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for stop in [Stop::Soon, Stop::Now] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("told to stop");
            sender.send_replace(stop);
        }
    });
    Ok(receiver)
}

/// Does something, but not for longer than so long after the run was told to stop: what is cut off
/// then is settled by the next.
async fn in_time<T>(
    mut stop: watch::Receiver<Stop>,
    grace: Duration,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let overdue = async {
        if stop.wait_for(|stop| *stop > Stop::Not).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        ended = work => ended,
        () = overdue => {
            Err(TryAgain("told to stop; the next run settles what was under way".into()).into())
        }
    }
}

/// Failures go into the registry too.
async fn sync_lake(ctx: &Context, registry: &Registry, lake: &Lake) -> anyhow::Result<()> {
    let options = sync::Options {
        node: ctx.node(lake),
        catalog: ctx.settings.sync.products(),
        uri_prefixes: None,
        dry_run: false,
    };
    Ok(sync::run(registry, lake, &options, Arc::new(|_| {})).await.map(drop)?)
}

/// What would be made.
#[derive(Debug, Serialize)]
struct Foreseen {
    version: u32,
    dry_run: bool,
    node: String,
    nodes: Vec<String>,
    tiles: usize,
    pixels: usize,
    batches: usize,
    tiles_of_others: i64,
    tiles_waiting: i64,
    tiles_failed: i64,
}

async fn foresee(registry: &Registry, settings: &Settings) -> anyhow::Result<Foreseen> {
    let taker = &settings.taker;
    let pending = registry.pending_pixels(taker).await?;
    let mut peers = registry.campaign_peers(&taker.release).await?;
    let me =
        Peer { node: taker.node.clone(), weight: settings.weight, takes_all: taker.only.is_none() };
    let mut plan = Plan::new(&me, &peers, &pending);
    if peers.iter().all(|peer| peer.node != me.node) {
        peers.push(me);
    }
    let (tiles, pixels) = (plan.mine.iter().map(|(_, tiles)| tiles).sum(), plan.mine.len());
    let mut batches = 0;
    while !plan.next_batch(settings.tiles_per_batch).is_empty() {
        batches += 1;
    }
    Ok(Foreseen {
        version: 1,
        dry_run: true,
        node: taker.node.clone(),
        nodes: peers.into_iter().map(|peer| peer.node).collect(),
        tiles,
        pixels,
        batches,
        tiles_of_others: plan.others,
        tiles_waiting: plan.waiting,
        tiles_failed: registry.campaign_counts(&taker.release).await?.failed,
    })
}

impl Foreseen {
    fn show(&self) -> String {
        format!(
            "{} would make {} tiles of {} pixels in {} batches; {} are other nodes' ({} at work), \
             {} wait for another try, {} failed; nothing was done",
            self.node,
            self.tiles,
            self.pixels,
            self.batches,
            self.tiles_of_others,
            self.nodes.len(),
            self.tiles_waiting,
            self.tiles_failed
        )
    }
}

/// What is seen of a run: lines, and at a terminal a bar.
struct Screen {
    bar: ProgressBar,
    printer: Printer,
}

impl Screen {
    fn new(printer: Printer) -> Self {
        Self { bar: progress::bar(&printer, 0, "tiles"), printer }
    }

    fn tell(&self) -> Tell {
        let (bar, printer) = (self.bar.clone(), self.printer);
        let note = move |text: String| bar.suspend(|| printer.note(&text));
        let bar = self.bar.clone();
        Arc::new(move |event| match event {
            Event::Began(settled, counts) => {
                bar.set_length((counts.done + counts.left + counts.failed).cast_unsigned());
                bar.set_position((counts.done + counts.failed).cast_unsigned());
                tracing::info!(
                    done = counts.done,
                    left = counts.left,
                    failed = counts.failed,
                    adopted = settled.adopted,
                    withdrawn = settled.withdrawn,
                    set_aside = settled.set_aside,
                    "began"
                );
            }
            Event::Tiles(count) => bar.inc(count as u64),
            Event::Batch(batch) => {
                bar.set_position((batch.tiles_done + batch.tiles_failed).cast_unsigned());
                bar.set_message(format!("{:.1} MB/s", batch.mb_per_s));
                let printed = bar.suspend(|| printer.line(&*batch, &batch.to_string()));
                if let Err(e) = printed {
                    tracing::info!("{e}");
                }
            }
            Event::Room { free: Some(free), need } => note(format!(
                "paused: no room in the lake: {} are free, the next tile needs {}",
                bytes(free),
                bytes(need)
            )),
            Event::Room { free: None, .. } => note("there is room again: going on".to_owned()),
            Event::Waiting { others, waiting } => {
                bar.set_message(format!("waiting: {others} of other nodes, {waiting} to retry"));
                tracing::debug!(others, waiting, "waiting");
            }
        })
    }

    fn fetching(&self, folder: &Path) -> TellFetching {
        let (bar, printer, folder) = (self.bar.clone(), self.printer, folder.to_owned());
        let note = move |text: String| bar.suspend(|| printer.note(&text));
        Arc::new(move |event| match event {
            Fetching::NoRoom { free_bytes, need_bytes } => note(format!(
                "paused: no room in {}: {} may be used, the next file needs {}",
                folder.display(),
                bytes(free_bytes),
                bytes(need_bytes)
            )),
            Fetching::RoomAgain => note("there is room again: going on".to_owned()),
            Fetching::Bytes(_) | Fetching::Again { .. } => {}
        })
    }
}

fn bytes(count: u64) -> String {
    size(i64::try_from(count).unwrap_or(i64::MAX))
}

fn summary(report: &Report) -> String {
    let why = match report.end {
        End::Complete => "nothing is left",
        End::Batches => "as many batches as were asked for",
        End::OthersHold => "the rest is other nodes'",
        End::Stopped => "told to stop",
    };
    format!(
        "end: {} batches, {} made, {} failed, {} lost, {} in, {} out, {:.1} s; {} done, {} left, \
         {} failed: {why}",
        report.batches,
        report.made,
        report.failed,
        report.lost,
        bytes(report.bytes_in),
        bytes(report.bytes_out),
        report.seconds,
        report.tiles.done,
        report.tiles.left,
        report.tiles.failed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_spelled_as_flags() {
        let text = "tiles_per_batch = 4\nscratch = '10GB'\nno_wait = true\nlease = 60.0";
        let set: Options = toml::from_str(text).expect("settings");
        let merged = Options { lease: Some(2.0), ..Options::default() }.or(&set);
        assert_eq!((merged.lease, merged.no_wait), (Some(2.0), Some(true)));
        assert_eq!(merged.tiles_per_batch.map(NonZero::get), Some(4));
        for (given, least) in [(Some(0.1), 0.5), (Some(f64::NAN), 0.0), (Some(-1.0), 0.0)] {
            assert!(within("--lease", given, 1.0, least).expect_err("out of bounds").is::<Usage>());
        }
    }
}
