//! `bifrost fetch`: a tile's files from the archive into a local folder, whole and verified.

use crate::context::Context;
use crate::exit::{Exit, Usage};
use crate::{archive, printer, progress, tiles};
use anyhow::Context as _;
use bifrost_archive::caller::{Event, Tell};
use bifrost_archive::fetch::{Config, Ending, Fetcher, How, Job};
use bifrost_archive::key::{Kind, Production};
use bifrost_archive::repair::Expected;
use bifrost_core::outcome::Outcome;
use bifrost_core::registry::{ArchiveFile, LearntFile, Registry};
use bifrost_core::tile::{Name, Tile};
use futures::{StreamExt, stream};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// The folder of a lake where files are fetched to, unless another is named.
const SCRATCH: &str = "scratch";
/// Endings that are written to the registry together.
const LEARNT_AT_ONCE: usize = 32;

/// Arguments of `bifrost fetch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Tiles, as iron-main-dark-10000 or main-dark-10000 [default: those that are queued]
    #[arg(value_name = "TILE")]
    names: Vec<String>,
    /// A list of tiles, keys or URLs, one a line
    #[arg(long, value_name = "FILE")]
    tiles: Option<PathBuf>,
    /// Of the queued tiles, only this survey
    #[arg(long)]
    survey: Option<Name>,
    /// Of the queued tiles, only this program
    #[arg(long)]
    program: Option<Name>,
    /// Of the queued tiles, at most so many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Of named tiles, fetch rrdetails too (queued tiles: as inventory was told)
    #[arg(long)]
    rrdetails: bool,
    /// Say what would be fetched, and fetch nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    archive: archive::Options,
}

/// What may also be set in `bifrost.toml`, under `[fetch]`, with the same spelling.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[group(skip)]
pub struct Options {
    /// Folder for the files, in the archive's own tree [default: LAKE/.bifrost/scratch]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Bytes a second, at most, over all transfers: 100MB
    #[arg(long, value_name = "SIZE")]
    max_rate: Option<String>,
    /// Space on the disk that is left to others; fetching pauses at it [default: 1GB]
    #[arg(long, value_name = "SIZE")]
    keep_free: Option<String>,
}

impl Options {
    /// What is not about a folder.
    pub fn limits(max_rate: Option<String>, keep_free: Option<String>) -> Self {
        Self { out: None, max_rate, keep_free }
    }

    /// These, and where they are silent, those.
    pub fn or(self, those: &Self) -> Self {
        let those = those.clone();
        Self {
            out: self.out.or(those.out),
            max_rate: self.max_rate.or(those.max_rate),
            keep_free: self.keep_free.or(those.keep_free),
        }
    }

    /// The folder that is meant.
    pub fn folder(&self, ctx: &Context) -> anyhow::Result<PathBuf> {
        match &self.out {
            Some(folder) => Ok(folder.clone()),
            None => Ok(ctx.lake_or_new()?.private(SCRATCH)),
        }
    }

    /// How files are fetched.
    pub fn config(&self) -> anyhow::Result<Config> {
        let default = Config::default();
        let size = |option: &str, text: &Option<String>| {
            let size = text.as_deref().map(archive::parse_size).transpose();
            size.map_err(|e| Usage(format!("{option}: {e}")))
        };
        let rate_bytes_per_s = size("--max-rate", &self.max_rate)?;
        if rate_bytes_per_s == Some(0) {
            return Err(Usage("--max-rate 0: nothing would ever come".to_owned()).into());
        }
        Ok(Config {
            rate_bytes_per_s,
            keep_free_bytes: size("--keep-free", &self.keep_free)?
                .unwrap_or(default.keep_free_bytes),
            ..default
        })
    }
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let archive = args.archive.clone().or(&ctx.settings.archive);
    let options = args.options.clone().or(&ctx.settings.fetch);
    let (production, config) = (archive.production()?, options.config()?);
    let named = named(ctx, args, &production)?;
    let registry = if named.is_some() { None } else { Some(ctx.registry()?) };
    let jobs = match (&registry, named) {
        (Some(registry), _) => queued(ctx, args, registry, &production)?,
        (None, named) => named.unwrap_or_default(),
    };
    if jobs.is_empty() {
        ctx.printer.note("no tile is queued: bifrost inventory says what there is");
        return Ok(Exit::NothingMatched);
    }
    let folder = options.folder(ctx)?;
    if args.dry_run {
        ctx.printer.data(&Plan::new(&jobs, &folder), Plan::show)?;
        return Ok(Exit::Ok);
    }
    let watch = Watch::new(ctx.printer, jobs.len() as u64);
    let caller = archive.caller(watch.tell())?;
    let fetcher = Fetcher::new(caller, production, &folder, config)
        .with_context(|| format!("failed to make the folder {}", folder.display()))?;
    check_room(&fetcher, &[&folder])?;
    let fetcher = Arc::new(fetcher);
    let endings = ctx.block_on(all(&fetcher, &jobs, archive.requests(), registry, &watch))?;
    watch.bar.finish_and_clear();
    let report = Report::new(endings, &fetcher, &watch);
    ctx.printer.data(&report, Report::show)?;
    Ok(if report.failed.is_empty() { Exit::Ok } else { Exit::Quarantined })
}

/// Room that a disk cannot have, however empty it is, would be waited for in vain.
pub fn check_room(fetcher: &Fetcher, folders: &[&Path]) -> anyhow::Result<()> {
    for folder in folders {
        let possible = fetcher.room_in(folder).and_then(|room| room.is_possible());
        let shown = folder.display();
        if !possible.with_context(|| format!("failed to ask the disk of {shown}"))? {
            let text = format!("--keep-free is more than the whole disk of {shown} has");
            return Err(Usage(text).into());
        }
    }
    Ok(())
}

/// Fetches tiles, a few more at a time than the pace allows transfers, so that none waits idle.
async fn all(
    fetcher: &Arc<Fetcher>,
    jobs: &[Job],
    requests: usize,
    registry: Option<Registry>,
    watch: &Watch,
) -> anyhow::Result<Vec<Ending>> {
    let mut endings = Vec::with_capacity(jobs.len());
    let mut learnt = Vec::new();
    // tasks of their own, on all cores: those of one task would take turns on one
    let tile = |job: &Job| {
        let (fetcher, job) = (fetcher.clone(), job.clone());
        tokio::spawn(async move { fetcher.tile(&job).await })
    };
    let mut under_way = stream::iter(jobs).map(tile).buffer_unordered(requests + 2);
    while let Some(ending) = under_way.next().await {
        let ending = ending?;
        watch.bar.inc(1);
        learnt.extend(learnt_of(&ending));
        endings.push(ending);
        if let Some(registry) = &registry
            && (learnt.len() >= LEARNT_AT_ONCE || endings.len() == jobs.len())
        {
            registry.learn_archive_files(&std::mem::take(&mut learnt)).await?;
        }
    }
    endings.sort_by(|a, b| a.tile.cmp(&b.tile));
    Ok(endings)
}

/// What a tile that was fetched tells the registry.
pub fn learnt_of(ending: &Ending) -> impl Iterator<Item = LearntFile> {
    ending.files.iter().map(|file| {
        let is_present = file.how != How::Absent;
        let size_bytes = i64::try_from(file.size_bytes).ok().filter(|_| is_present);
        LearntFile {
            file: ArchiveFile {
                tile: ending.tile.clone(),
                kind: file.kind.as_str().to_owned(),
                key: file.key.clone(),
                size_bytes,
                etag: file.etag.clone(),
                sha256: file.sha256.clone(),
            },
            is_present,
        }
    })
}

/// The tiles that were named; none if none were.
fn named(ctx: &Context, args: &Args, production: &Production) -> anyhow::Result<Option<Vec<Job>>> {
    if args.names.is_empty() && args.tiles.is_none() {
        return Ok(None);
    }
    let (survey, program) = (args.survey.clone(), args.program.clone());
    let expected = Expected { production: production.clone(), bucket: None, survey, program };
    let mut meant = tiles::meant(ctx.printer, "TILE", &args.names.join("\n"), &expected)?.tiles;
    if let Some(path) = &args.tiles {
        let (list, text) = (path.display().to_string(), tiles::read(path)?);
        meant.extend(tiles::meant(ctx.printer, &list, &text, &expected)?.tiles);
    }
    let kinds = Kind::wanted(args.rrdetails);
    Ok(Some(meant.into_keys().map(|tile| Job::of(tile, kinds)).collect()))
}

fn queued(
    ctx: &Context,
    args: &Args,
    registry: &Registry,
    production: &Production,
) -> anyhow::Result<Vec<Job>> {
    let (survey, program) = (args.survey.as_ref(), args.program.as_ref());
    let limit = args.limit.map(i64::from);
    let files = registry.archive_queue(production.release(), survey, program, limit);
    Ok(Job::gather(&ctx.block_on(files)?))
}

/// Shows what goes on: a bar at a terminal, and in any case when the disk makes us wait.
struct Watch {
    bar: ProgressBar,
    printer: printer::Printer,
    began: Instant,
    bytes: Arc<AtomicU64>,
}

impl Watch {
    fn new(printer: printer::Printer, tiles: u64) -> Self {
        let bar = progress::bar(&printer, tiles, "tiles");
        Self { bar, printer, began: Instant::now(), bytes: Arc::default() }
    }

    fn tell(&self) -> Tell {
        /// Bytes between two looks at the clock.
        const STEP: u64 = 4_000_000;
        let (bar, printer, began) = (self.bar.clone(), self.printer, self.began);
        let bytes = self.bytes.clone();
        let shown = OnceLock::<AtomicU64>::new();
        let note = move |text: String| bar.suspend(|| printer.note(&text));
        let bar = self.bar.clone();
        Arc::new(move |event| match event {
            Event::Bytes(count) => {
                let now = bytes.fetch_add(count, Ordering::Relaxed) + count;
                let shown = shown.get_or_init(AtomicU64::default);
                if now >= shown.load(Ordering::Relaxed) + STEP {
                    shown.store(now, Ordering::Relaxed);
                    bar.set_message(format!("{:.1} MB/s", rate(now, began)));
                }
            }
            Event::NoRoom { folder, free_bytes, need_bytes } => {
                let size = |bytes: u64| printer::size(i64::try_from(bytes).unwrap_or(i64::MAX));
                note(format!(
                    "paused: no room in {}: {} may be used, the next file needs {}; free some, \
                     or lower --keep-free",
                    folder.display(),
                    size(free_bytes),
                    size(need_bytes)
                ));
            }
            Event::RoomAgain { .. } => note("there is room again: going on".to_owned()),
            Event::Again { .. } => {}
        })
    }
}

fn rate(bytes: u64, since: Instant) -> f64 {
    bytes as f64 / 1e6 / since.elapsed().as_secs_f64().max(1e-9)
}

/// What would be fetched.
#[derive(Debug, Serialize)]
struct Plan {
    version: u32,
    dry_run: bool,
    folder: PathBuf,
    bytes: u64,
    tiles: Vec<Planned>,
}

#[derive(Debug, Serialize)]
struct Planned {
    tile: Tile,
    kinds: Vec<Kind>,
    size_bytes: u64,
}

impl Plan {
    fn new(jobs: &[Job], folder: &Path) -> Self {
        let planned = |job: &Job| Planned {
            tile: job.tile.clone(),
            kinds: job.files.iter().map(|file| file.kind).collect(),
            size_bytes: job.size_bytes(),
        };
        let tiles: Vec<_> = jobs.iter().map(planned).collect();
        let bytes = tiles.iter().map(|t| t.size_bytes).sum();
        Self { version: 1, dry_run: true, folder: folder.to_owned(), bytes, tiles }
    }

    fn show(&self) -> String {
        let mut table = printer::table(&["tile", "files", "MB known"], &[2]);
        for planned in &self.tiles {
            let kinds: Vec<_> = planned.kinds.iter().map(|kind| kind.as_str()).collect();
            table.add_row([
                planned.tile.to_string(),
                kinds.join(" "),
                megabytes(planned.size_bytes),
            ]);
        }
        let (tiles, folder) = (self.tiles.len(), self.folder.display());
        format!("{table}\n{tiles} tiles would go to {folder}; nothing was fetched")
    }
}

/// What was fetched.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    fetched: usize,
    failed: BTreeMap<Outcome, usize>,
    bytes: u64,
    seconds: f64,
    mb_per_s: f64,
    /// Transfers at a time that the archive was last believed to bear.
    requests: usize,
    /// How often it made us go slower.
    slow_downs: u64,
    retries: u64,
    corrupt: u64,
    tiles: Vec<Ending>,
}

impl Report {
    fn new(tiles: Vec<Ending>, fetcher: &Fetcher, watch: &Watch) -> Self {
        let mut failed = BTreeMap::new();
        for failure in tiles.iter().filter_map(|tile| tile.failure.as_ref()) {
            *failed.entry(failure.outcome).or_default() += 1;
        }
        let bytes = tiles.iter().map(|tile| tile.bytes).sum();
        Self {
            version: 1,
            fetched: tiles.iter().filter(|tile| tile.failure.is_none()).count(),
            failed,
            bytes,
            seconds: watch.began.elapsed().as_secs_f64(),
            mb_per_s: rate(bytes, watch.began),
            requests: fetcher.caller().pace().limit(),
            slow_downs: fetcher.caller().pace().cuts(),
            retries: tiles.iter().map(|tile| u64::from(tile.retries)).sum(),
            corrupt: tiles.iter().map(|tile| u64::from(tile.corrupt)).sum(),
            tiles,
        }
    }

    fn show(&self) -> String {
        let head = ["tile", "outcome", "files", "MB", "MB fetched", "s", "retries", "reason"];
        let mut table = printer::table(&head, &[2, 3, 4, 5, 6]);
        for ending in &self.tiles {
            let here = || ending.files.iter().filter(|file| file.how != How::Absent);
            let failure = ending.failure.as_ref();
            table.add_row([
                ending.tile.to_string(),
                failure.map_or("fetched".to_owned(), |f| f.outcome.to_string()),
                here().count().to_string(),
                megabytes(here().map(|file| file.size_bytes).sum()),
                megabytes(ending.bytes),
                format!("{:.2}", ending.seconds),
                ending.retries.to_string(),
                failure.map(|f| f.reason.clone()).unwrap_or_default(),
            ]);
        }
        let mut totals = vec![format!("{} fetched", self.fetched)];
        totals.extend(self.failed.iter().map(|(outcome, count)| format!("{count} {outcome}")));
        format!(
            "{table}\n{} tiles ({}): {} MB over the network, {:.1} MB/s, {:.2} s, {} retries",
            self.tiles.len(),
            totals.join(", "),
            megabytes(self.bytes),
            self.mb_per_s,
            self.seconds,
            self.retries
        )
    }
}

fn megabytes(size_bytes: u64) -> String {
    format!("{:.1}", size_bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_spelled_as_flags() {
        let set: Options =
            toml::from_str("max_rate = '100MB'\nkeep_free = '2GB'").expect("settings");
        let merged = Options { keep_free: Some("0".into()), ..Options::default() }.or(&set);
        let config = merged.config().expect("a config");
        assert_eq!((config.rate_bytes_per_s, config.keep_free_bytes), (Some(100_000_000), 0));
        for rate in ["fast", "0", "0.2B"] {
            let wrong = Options { max_rate: Some(rate.into()), ..Options::default() };
            assert!(wrong.config().expect_err("no rate").is::<Usage>(), "{rate}");
        }
    }
}
