//! `bifrost sync`: bring the registry and the datasheet up to date with the lake.

use super::gc::parse_time;
use crate::context::Context;
use crate::exit::{Exit, Usage};
use crate::follow::follow;
use crate::{datasheet, printer, progress};
use bifrost_core::layout::{Lake, SPECTRA};
use bifrost_core::registry::Registry;
use bifrost_core::sync::{self, Progress, Report, Step};
use indicatif::ProgressBar;
use serde::Deserialize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Arguments of `bifrost sync`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Say what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Idempotency key: where the lake has a commit of this key, do nothing
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Follow the lake, and sync whenever something in it has changed, until told to stop
    #[arg(long, conflicts_with_all = ["dry_run", "key"])]
    watch: bool,
    /// With --watch: sync so often at least, whatever was noticed: 30s, 5m, 1h
    #[arg(long, value_name = "TIME", default_value = "5m", requires = "watch", value_parser = parse_time)]
    every: Duration,
    #[command(flatten)]
    options: Options,
}

/// What may also be set in `bifrost.toml`, under `[sync]`, with the same spelling.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Products whose rows make up the catalog [default: spectra]
    #[arg(long, value_name = "PRODUCT", value_delimiter = ',')]
    catalog: Option<Vec<String>>,
    /// Leave the catalog to a later sync
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_catalog: Option<bool>,
    /// Leave DATA_README.md as it is
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_datasheet: Option<bool>,
    /// What to put before a file's absolute path to open it from elsewhere: a mount point, a URL
    #[arg(long, value_name = "PREFIX", value_delimiter = ',')]
    uri_prefix: Option<Vec<String>>,
}

impl Options {
    /// These, and where they are silent, those.
    fn or(self, those: &Self) -> Self {
        let those = those.clone();
        Self {
            catalog: self.catalog.or(those.catalog),
            no_catalog: self.no_catalog.or(those.no_catalog),
            no_datasheet: self.no_datasheet.or(those.no_datasheet),
            uri_prefix: self.uri_prefix.or(those.uri_prefix),
        }
    }

    /// Whether the datasheet is left as it is.
    pub fn leaves_datasheet(&self) -> bool {
        self.no_datasheet.unwrap_or(false)
    }

    /// Products whose rows make up the catalog.
    pub fn products(&self) -> Option<Vec<String>> {
        let products = || self.catalog.clone().unwrap_or_else(|| vec![SPECTRA.to_owned()]);
        (!self.no_catalog.unwrap_or(false)).then(products)
    }
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let lake = lake(ctx)?;
    let job = Job::new(ctx, args, lake)?;
    if args.watch {
        return follow(ctx, &job, args.every);
    }
    let bars = Bars::new(ctx.printer);
    let report = ctx.ask(|| job.sync(bars.progress()))?;
    bars.clear();
    ctx.printer.data(&report, summary)?;
    job.refresh_sheet(ctx, &report)?;
    Ok(exit(&report))
}

/// How a sync that came to its end counts.
pub fn exit(report: &Report) -> Exit {
    let is_clean = report.repeats.is_some() || report.quarantined.is_empty();
    if is_clean { Exit::Ok } else { Exit::Quarantined }
}

/// A sync of this lake, to be run as often as need be.
pub struct Job {
    pub lake: Lake,
    registry: Registry,
    asked: sync::Options,
    sheet_wanted: bool,
}

impl Job {
    fn new(ctx: &Context, args: &Args, lake: Lake) -> anyhow::Result<Self> {
        let options = args.options.clone().or(&ctx.settings.sync);
        let registry = ctx.registry_of(&lake)?;
        let sheet_wanted = !args.dry_run && !options.leaves_datasheet();
        let asked = sync::Options {
            node: ctx.node(&lake),
            catalog: options.products(),
            uri_prefixes: options.uri_prefix,
            dry_run: args.dry_run,
            key: args.key.clone(),
        };
        Ok(Self { lake, registry, asked, sheet_wanted })
    }

    /// Brings the registry up to date.
    pub async fn sync(&self, progress: Progress) -> Result<Report, sync::Error> {
        sync::run(&self.registry, &self.lake, &self.asked, progress).await
    }

    /// Brings the datasheet up to date, if that is wanted.
    pub fn refresh_sheet(&self, ctx: &Context, report: &Report) -> anyhow::Result<()> {
        if self.sheet_wanted && report.repeats.is_none() {
            datasheet::refresh(ctx, &self.registry, &self.lake)?;
        }
        Ok(())
    }
}

/// The lake; a folder becomes one, but a folder that is not there is a slip of the pen.
fn lake(ctx: &Context) -> anyhow::Result<Lake> {
    match &ctx.settings.lake {
        Some(folder) if !folder.is_dir() => {
            let text = format!("there is no folder {} to sync", folder.display());
            Err(Usage(text).into())
        }
        _ => ctx.lake_or_new(),
    }
}

/// Progress bars, drawn once there is something to draw.
#[derive(Clone)]
pub struct Bars {
    printer: printer::Printer,
    files: Arc<OnceLock<ProgressBar>>,
    rows: Arc<OnceLock<ProgressBar>>,
}

impl Bars {
    pub fn new(printer: printer::Printer) -> Self {
        Self { printer, files: Arc::default(), rows: Arc::default() }
    }

    pub fn progress(&self) -> Progress {
        let bars = self.clone();
        Arc::new(move |step| {
            let (bar, things, done, total) = match step {
                Step::Files { done, total } => (&bars.files, "files", done, total),
                Step::Rows { done, total } => (&bars.rows, "rows", done, total),
            };
            let bar = bar.get_or_init(|| progress::bar(&bars.printer, total, things));
            bar.set_length(total);
            bar.set_position(done);
        })
    }

    pub fn clear(&self) {
        [&self.files, &self.rows]
            .iter()
            .filter_map(|bar| bar.get())
            .for_each(|b| b.finish_and_clear());
    }
}

/// What a sync did, for people.
pub fn summary(report: &Report) -> String {
    if let Some(commit) = report.repeats {
        return format!("nothing was done: commit {commit} has this key");
    }
    let changes = &report.changes;
    let mut lines = Vec::new();
    let head = match (report.commit, report.dry_run) {
        (Some(number), _) => format!("commit {number}"),
        (None, true) => "would change".to_owned(),
        (None, false) => "nothing changed".to_owned(),
    };
    let counts = [
        (changes.files_added, "files added"),
        (changes.files_changed, "changed"),
        (changes.files_missing, "missing"),
        (changes.files_replaced, "replaced"),
        (changes.files_quarantined, "quarantined"),
        (changes.rows_added, "rows added"),
        (changes.rows_removed, "rows removed"),
        (changes.catalog_added, "objects cataloged"),
        (changes.catalog_removed, "objects taken out"),
    ];
    let told = counts.iter().filter(|(count, _)| *count != 0);
    let told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
    let what = if told.is_empty() { format!("{} files", report.files) } else { told.join(", ") };
    lines.push(format!("{head}: {what} ({:.2} s)", report.seconds));
    lines
        .extend(report.quarantined.iter().map(|q| format!("quarantined: {} {}", q.path, q.reason)));
    lines.extend(report.faults.iter().map(|f| format!("fault: {}: {}", f.path, f.fault)));
    let unsettled = |path: &String| format!("left for the next sync: {path} changed meanwhile");
    lines.extend(report.unsettled.iter().map(unsettled));
    lines.extend(report.unread.iter().map(|folder| format!("could not be read: {folder}")));
    if report.still_quarantined > 0 {
        lines.push(format!("{} files stay in quarantine", report.still_quarantined));
    }
    lines.join("\n")
}
