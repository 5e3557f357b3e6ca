//! `bifrost stage run`: a stage's product for the files of this lake, what is missing or stale.

use super::Options;
use super::report::{Foreseen, Report};
use crate::commands::run::{stop_on_signals, sync_lake};
use crate::context::Context;
use crate::exit::{Exit, TryAgain, Usage};
use crate::{datasheet, progress, tiles};
use bifrost_archive::repair::Expected;
use bifrost_campaign::Stop;
use bifrost_core::hats::{self, Refresher};
use bifrost_core::layout::Lake;
use bifrost_core::outcome::Outcome;
use bifrost_core::publish::Running;
use bifrost_core::registry::Registry;
use bifrost_core::registry::campaign::Retry;
use bifrost_core::registry::stages::{RunEnding, StageAttempt, Step};
use bifrost_core::sync::{self, Derived, Landed, Site, publish_derived};
use bifrost_core::tile::{Name, Tile};
use bifrost_stages::derive::{self, Job, Publisher, Renaming, Settings, plan};
use bifrost_stages::stage::{About, FromProduct, Source};
use std::collections::{HashMap, HashSet};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// For so long a publication may be silent before the server lets go of what it holds.
const PATIENCE: Duration = Duration::from_secs(600);

/// Arguments of `bifrost stage run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The stage: see `bifrost stage list`
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    pub(super) which: Which,
}

/// Which tiles are to be made, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Only these tiles: RELEASE-SURVEY-PROGRAM-PIXEL
    #[arg(value_name = "TILE")]
    pub(super) names: Vec<Tile>,
    /// Only the tiles of a list, one a line: names, keys or URLs
    #[arg(long, value_name = "FILE")]
    pub(super) tiles: Option<PathBuf>,
    /// Say what would be made, and make nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Make tiles again that are up to date
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) options: Options,
}

impl Which {
    /// Whether no tiles were named.
    pub(crate) fn is_of_all(&self) -> bool {
        self.names.is_empty() && self.tiles.is_none()
    }

    /// The tiles that were named; none if none were.
    pub(super) fn named(&self, ctx: &Context) -> anyhow::Result<Option<HashSet<Tile>>> {
        let mut named: HashSet<Tile> = self.names.iter().cloned().collect();
        let Some(path) = &self.tiles else {
            return Ok((!named.is_empty()).then_some(named));
        };
        let text = tiles::read(path)?;
        let mut others = String::new();
        for line in text.lines() {
            // names may be of any production
            match line.trim().parse() {
                Ok(tile) => drop(named.insert(tile)),
                Err(_) if line.starts_with('#') => {}
                Err(_) => others += line,
            }
            others.push('\n');
        }
        if !others.trim().is_empty() {
            let production = ctx.settings.archive.production()?;
            let expected = Expected { production, bucket: None, survey: None, program: None };
            let list = path.display().to_string();
            named.extend(tiles::meant(ctx.printer, &list, &others, &expected)?.tiles.into_keys());
        }
        Ok(Some(named))
    }
}

/// What there is to make.
pub(super) struct Plan {
    pub(super) jobs: Vec<Job>,
    /// Why those are made that are not stale.
    pub(super) why: &'static str,
    pub(super) up_to_date: usize,
    /// Files whose input is gone.
    pub(super) orphaned: usize,
}

impl Plan {
    /// Whether there is nothing that the product could be made of.
    fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.up_to_date == 0
    }
}

/// A stage that is to be run in a lake.
struct Run<'a> {
    ctx: &'a Context,
    which: &'a Which,
    lake: Lake,
    stage: &'a dyn FromProduct,
    about: About,
    step: Step,
    settings: Settings,
    registry: Option<Registry>,
}

pub(super) fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    if args.name == bifrost_stages::store::NAME {
        return super::store::run(ctx, args);
    }
    let stage = super::find(&args.name)?;
    let made = make(ctx, &args.which, stage)?;
    if let Some(report) = &made.report {
        ctx.printer.data(report, Report::show)?;
    }
    made.exit
}

/// What came of a stage: what is to be told, and how the command ends.
pub(crate) struct Made {
    pub(crate) report: Option<Report>,
    pub(crate) exit: anyhow::Result<Exit>,
}

/// Makes the product of a stage, however the stage came about.
pub(crate) fn make(ctx: &Context, which: &Which, stage: &dyn FromProduct) -> anyhow::Result<Made> {
    let about = stage.about();
    let Source::Product(input, _) = about.from else {
        return Err(super::from_archive(about.name).into());
    };
    let options = which.options.clone().or(&ctx.settings.stage);
    let settings = settings(&options, which.force)?;
    let step = Step {
        stage: about.name,
        version: about.version,
        input: Name::new(input)?,
        product: about.product(),
    };
    let lake = ctx.lake()?;
    let registry = match options.no_registry.unwrap_or(false) {
        true => None,
        false => Some(ctx.registry_of(&lake)?),
    };
    Run { ctx, which, lake, stage, about, step, settings, registry }.run()
}

fn settings(options: &Options, force: bool) -> anyhow::Result<Settings> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let pause = options.retry_pause.unwrap_or(5.0);
    if !(0.0..=1e6).contains(&pause) {
        return Err(Usage("--retry-pause takes seconds, up to a million".into()).into());
    }
    Ok(Settings {
        jobs: options.jobs.map_or(cores, NonZero::get),
        tries: options.tries.map_or(3, NonZero::get),
        pause: Duration::from_secs_f64(pause),
        verify: !options.no_verify.unwrap_or(false),
        force,
    })
}

impl Run<'_> {
    fn run(&self) -> anyhow::Result<Made> {
        if self.which.dry_run {
            let plan = self.plan()?;
            self.ctx.printer.data(&Foreseen::new(&self.about, &plan), Foreseen::show)?;
            let exit = if plan.is_empty() { Exit::NothingMatched } else { Exit::Ok };
            return Ok(Made { report: None, exit: Ok(exit) });
        }
        let what = format!("stage-{}", self.about.name);
        let Some(_running) = Running::begin(&self.lake, &what)? else {
            let text = format!("another process runs stage {} in this lake", self.about.name);
            return Err(TryAgain(text).into());
        };
        let stop = self.ctx.block_on(async { stop_on_signals() })?;
        // the registry is to know what lies here, whoever put it there
        if let Some(registry) = &self.registry {
            self.ctx.block_on(sync_lake(self.ctx, registry, &self.lake))?;
        }
        let plan = self.plan()?;
        if plan.is_empty() {
            let input = &self.step.input;
            self.ctx.printer.note(&format!("no tile of {input} is there to make it of"));
            return Ok(Made { report: None, exit: Ok(Exit::NothingMatched) });
        }
        let start = Instant::now();
        let is_stopping = || *stop.borrow() > Stop::Not;
        let made = match &self.registry {
            Some(registry) if !plan.jobs.is_empty() => {
                self.make_registered(&plan, registry, &is_stopping)?
            }
            Some(_) => derive::Report::default(),
            None => self.make_unregistered(&plan, &is_stopping)?,
        };
        let report = Report::new(&self.about, &plan, made, start.elapsed().as_secs_f64());
        if let Some(registry) = &self.registry {
            // failures go into the registry too
            self.ctx.block_on(sync_lake(self.ctx, registry, &self.lake))?;
            datasheet::refresh(self.ctx, registry, &self.lake)?;
        }
        let exit = match report.left {
            0 if report.has_quarantined() => Ok(Exit::Quarantined),
            0 => Ok(Exit::Ok),
            left => Err(TryAgain(format!("{left} tiles are left")).into()),
        };
        Ok(Made { report: Some(report), exit })
    }

    /// What is to be made: with a registry what it calls missing or stale, else everything, and each
    /// tile's files tell.
    fn plan(&self) -> anyhow::Result<Plan> {
        let mut jobs = plan::tiles(&self.lake, &self.step.input);
        if let Some(named) = self.which.named(self.ctx)? {
            jobs.retain(|job| named.contains(&job.tile));
            if jobs.len() < named.len() {
                let (known, named) = (jobs.len(), named.len());
                let text = format!("of {named} tiles named, {known} lie here");
                self.ctx.printer.note(&text);
            }
        }
        let all = jobs.len();
        let mut orphaned = 0;
        // the registry knows of inputs and versions, not of what else shaped a file
        let knowing = self.registry.as_ref().filter(|_| self.stage.configuration().is_none());
        if let Some(registry) = knowing {
            orphaned = self.mark(registry, &mut jobs, self.which.force)?;
        }
        let why = match (self.which.force, knowing) {
            (true, _) => "asked for",
            (false, Some(_)) => "missing",
            (false, None) => "to be looked at",
        };
        Ok(Plan { up_to_date: all - jobs.len(), jobs, why, orphaned })
    }

    /// Leaves what the registry calls missing or stale, and what could not be read; says how many
    /// files have lost their input.
    fn mark(&self, registry: &Registry, jobs: &mut Vec<Job>, force: bool) -> anyhow::Result<usize> {
        let lake_id = self.lake.identity().lake_id;
        let tiles = self.ctx.ask(|| registry.stage_tiles(lake_id, &self.step))?;
        let unreadable = self.ctx.ask(|| registry.unreadable_files(lake_id, &self.step.input))?;
        let unreadable: HashSet<_> = unreadable.iter().map(Path::new).collect();
        let orphaned = tiles.iter().filter(|tile| tile.input.is_none()).count();
        let mut wanted: HashMap<Tile, Option<String>> = tiles
            .into_iter()
            .filter(|tile| tile.input.is_some())
            .map(|tile| (tile.tile, tile.reason))
            .collect();
        jobs.retain_mut(|job| match wanted.remove(&job.tile) {
            Some(reason) => {
                job.stale = reason;
                true
            }
            None => force || unreadable.contains(job.input.as_path()),
        });
        Ok(orphaned)
    }

    fn make<P: Publisher>(
        &self,
        plan: &Plan,
        publisher: &mut P,
        is_stopping: &(dyn Fn() -> bool + Sync),
    ) -> Result<derive::Report, P::Error>
    where
        P::Error: From<bifrost_core::publish::Error>,
    {
        let bar = progress::bar(&self.ctx.printer, plan.jobs.len() as u64, "tiles");
        let (lake, settings) = (&self.lake, &self.settings);
        let ended = |_: &derive::Ending| bar.inc(1);
        let made =
            derive::run(lake, self.stage, &plan.jobs, settings, publisher, is_stopping, &ended);
        bar.finish_and_clear();
        made
    }

    fn make_unregistered(
        &self,
        plan: &Plan,
        is_stopping: &(dyn Fn() -> bool + Sync),
    ) -> anyhow::Result<derive::Report> {
        let made = self.make(plan, &mut Renaming(&self.lake), is_stopping)?;
        let is_new =
            |e: &&derive::Ending| matches!(e.outcome, Some(Outcome::Converted | Outcome::Empty));
        let pixels: Vec<_> = made.tiles.iter().filter(is_new).map(|e| e.tile.pixel).collect();
        hats::look_at(&self.lake, &self.step.product, &pixels)?;
        Ok(made)
    }

    fn make_registered(
        &self,
        plan: &Plan,
        registry: &Registry,
        is_stopping: &(dyn Fn() -> bool + Sync),
    ) -> anyhow::Result<derive::Report> {
        let ctx = self.ctx;
        let (run_id, lake_id) = (Uuid::new_v4(), self.lake.identity().lake_id);
        let site = Site {
            registry: registry.clone(),
            lake: self.lake.clone(),
            node: ctx.node(&self.lake),
            catalog: ctx.settings.sync.products(),
            patience: PATIENCE,
            retry: Retry { tries: 1, pause_s: 0.0 },
        };
        let tiles = plan.jobs.len();
        ctx.ask(|| registry.begin_stage_run(run_id, lake_id, &site.node, &self.step, tiles))?;
        let (product, catalogs) = (self.about.product(), Refresher::default());
        let mut publisher = Registering { ctx, site, product, run_id, catalogs };
        let made = self.make(plan, &mut publisher, is_stopping)?;
        let ending = if made.left == 0 { RunEnding::Complete } else { RunEnding::Stopped };
        ctx.ask(|| registry.end_stage_run(run_id, ending))?;
        Ok(made)
    }
}

/// Publishes and registers in one step.
struct Registering<'a> {
    ctx: &'a Context,
    site: Site,
    product: Name,
    run_id: Uuid,
    catalogs: Refresher,
}

impl Publisher for Registering<'_> {
    type Error = anyhow::Error;

    fn publish(&mut self, made: &[Derived]) -> anyhow::Result<Vec<Landed>> {
        let Self { ctx, site, product, run_id, catalogs } = self;
        Ok(ctx.block_on(async {
            let landed = publish_derived(site, product, *run_id, made).await?;
            catalogs.refresh_if_due(&site.registry, &site.lake).await;
            Ok::<_, sync::Error>(landed)
        })?)
    }

    fn note(&mut self, attempts: &[StageAttempt]) -> anyhow::Result<()> {
        let registry = &self.site.registry;
        Ok(self.ctx.ask(|| registry.put_stage_attempts(self.run_id, attempts))?)
    }
}
