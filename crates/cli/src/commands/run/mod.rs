//! `bifrost run`: from the archive to the lake, unattended: fetch, verify, convert, publish.

mod options;
mod screen;

use crate::commands::fetch;
use crate::context::Context;
use crate::exit::{Exit, TryAgain};
use crate::{archive, datasheet, tiles};
use anyhow::Context as _;
use bifrost_archive::fetch::{Fetcher, is_full_disk};
use bifrost_archive::key::Production;
use bifrost_archive::repair::Expected;
use bifrost_campaign::{End, Error, Report, Stop};
use bifrost_core::layout::Lake;
use bifrost_core::patience::{MayPass, OF_A_COMMAND, patiently};
use bifrost_core::registry::Registry;
use bifrost_core::sync;
pub use options::Options;
use options::settings;
use screen::{Foreseen, Screen, foresee, summary};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// A run ends by itself in its grace; so much later it is cut off.
const OVERTIME: Duration = Duration::from_secs(2);
/// How often a disk that is too full for the datasheet is tried again.
const ROOM_POLL: Duration = Duration::from_secs(5);

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
    /// Bytes a second, at most, over all transfers: 100MB [default: as for fetch]
    #[arg(long, value_name = "SIZE")]
    max_rate: Option<String>,
    /// Space on the disks that is left to others; the run pauses at it [default: as for fetch]
    #[arg(long, value_name = "SIZE")]
    keep_free: Option<String>,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    archive: archive::Options,
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let archive = args.archive.clone().or(&ctx.settings.archive);
    let options = args.options.clone().or(&ctx.settings.run);
    let limits = fetch::Options::limits(args.max_rate.clone(), args.keep_free.clone());
    let fetching = limits.or(&ctx.settings.fetch).config()?;
    let production = archive.production()?;
    let lake = if args.dry_run { ctx.lake()? } else { ctx.lake_or_new()? };
    let registry = ctx.registry_of(&lake)?;
    let only = only(ctx, args, &registry, &production)?;
    if args.tiles.is_some() && only.as_ref().is_some_and(Vec::is_empty) {
        ctx.printer.note("none of the tiles that were named is there to be made");
        return Ok(Exit::NothingMatched);
    }
    let settings = settings(ctx, &options, &lake, production.clone(), only)?;
    if args.dry_run {
        let again = match &settings.taker.only {
            Some(failed) if args.only_failed => failed.as_slice(),
            _ => &[],
        };
        let plan = ctx.block_on(foresee(&registry, &settings, again))?;
        ctx.printer.data(&plan, Foreseen::show)?;
        return Ok(Exit::Ok);
    }
    let screen = Screen::new(ctx.printer);
    let caller = archive.caller(screen.fetching())?;
    let folder = settings.scratch_folder.clone();
    let fetcher = Fetcher::new(caller, production, &folder, fetching)
        .with_context(|| format!("failed to make the folder {}", folder.display()))?;
    fetch::check_room(&fetcher, &[&folder, lake.root()])?;
    let grace = settings.grace;
    let (report, stop) = ctx.block_on(async {
        let stop = stop_on_signals()?;
        let tell = screen.tell();
        let run = bifrost_campaign::run(&registry, &lake, fetcher, settings, stop.clone(), tell);
        let ended = async { run.await.map_err(|e| busy(e, *stop.borrow() > Stop::Not)) };
        anyhow::Ok((in_time(stop.clone(), grace + OVERTIME, ended).await, stop))
    })?;
    screen.bar.finish_and_clear();
    let report = report?;
    if report.tiles.done + report.tiles.failed + report.tiles.left == 0 {
        tracing::warn!("no tile is known: bifrost inventory says what there is");
    }
    ctx.printer.line(&report, &summary(&report))?;
    if report.end != End::Stopped {
        tell_the_lake(ctx, &registry, &lake, &stop)?;
    }
    end(&report)
}

/// Failures go into the registry too, and all of it into the datasheet; a full disk is waited for.
fn tell_the_lake(
    ctx: &Context,
    registry: &Registry,
    lake: &Lake,
    stop: &watch::Receiver<Stop>,
) -> anyhow::Result<()> {
    loop {
        let synced = sync_lake(ctx, registry, lake);
        let told = ctx
            .block_on(in_time(stop.clone(), Duration::ZERO, synced))
            .and_then(|()| datasheet::refresh(ctx, registry, lake));
        match told {
            Err(e) if is_for_want_of_room(&e) => tracing::warn!("no room for the datasheet: {e:#}"),
            told => return told,
        }
        let pause = async {
            tokio::time::sleep(ROOM_POLL).await;
            anyhow::Ok(())
        };
        ctx.block_on(in_time(stop.clone(), Duration::ZERO, pause))?;
    }
}

fn is_for_want_of_room(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|e| e.downcast_ref::<std::io::Error>()).any(is_full_disk)
}

/// A node or a lake that is in use now may be free later; a registry that is away is no failure of a run
/// that is told to stop.
fn busy(error: Error, is_told_to_stop: bool) -> anyhow::Error {
    let is_away = match &error {
        Error::Registry(e) => e.may_pass(),
        Error::Sync(e) => e.may_pass(),
        _ => false,
    };
    match error {
        Error::Busy(_) | Error::NodeTaken(_) => TryAgain(error.to_string()).into(),
        error if is_away && is_told_to_stop => TryAgain(format!("told to stop; {error}")).into(),
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

/// The tiles that were named, or failed before; none: all that are queued.
fn only(
    ctx: &Context,
    args: &Args,
    registry: &Registry,
    production: &Production,
) -> anyhow::Result<Option<Vec<i64>>> {
    let mut only = None;
    if let Some(path) = &args.tiles {
        let production = production.clone();
        let expected = Expected { production, bucket: None, survey: None, program: None };
        let (list, text) = (path.display().to_string(), tiles::read(path)?);
        let meant = tiles::meant(ctx.printer, &list, &text, &expected)?;
        let tiles: Vec<_> = meant.tiles.into_keys().collect();
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
pub fn stop_on_signals() -> anyhow::Result<watch::Receiver<Stop>> {
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

/// Brings the registry up to date with the lake, its quarantine included.
pub async fn sync_lake(ctx: &Context, registry: &Registry, lake: &Lake) -> anyhow::Result<()> {
    let options = sync::Options {
        node: ctx.node(lake),
        catalog: ctx.settings.sync.products(),
        uri_prefixes: None,
        dry_run: false,
        key: None,
    };
    let synced = || sync::run(registry, lake, &options, Arc::new(|_| {}));
    Ok(patiently(OF_A_COMMAND, synced).await.map(drop)?)
}
