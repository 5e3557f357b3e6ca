//! `bifrost bench`: how many transfers at a time serve best.

use crate::context::Context;
use crate::exit::{Exit, Usage};
use crate::{archive, printer, progress, tiles};
use bifrost_archive::archive::Archive;
use bifrost_archive::bench::{self, Round};
use bifrost_archive::key::{Kind, Production};
use bifrost_archive::list;
use bifrost_archive::repair::Expected;
use bifrost_core::tile::Name;
use clap::Subcommand;
use serde::Serialize;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `bifrost bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Fetch from a bucket and throw away
    S3(Sweep),
    /// Fetch from a web server and throw away; --archive says from which
    Http(Sweep),
}

#[derive(Debug, clap::Args)]
struct Sweep {
    /// Numbers of workers to try, in turn
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2,4,8,16")]
    workers: Vec<NonZero<usize>>,
    /// Files that each round fetches
    #[arg(long, value_name = "N", default_value_t = 32)]
    files: usize,
    /// Files to fetch: a list of keys or URLs [default: coadds of the bucket's listing]
    #[arg(long, value_name = "LIST")]
    from: Option<PathBuf>,
    /// Survey that is listed
    #[arg(long, default_value = "main")]
    survey: Name,
    /// Program that is listed
    #[arg(long, default_value = "dark")]
    program: Name,
    #[command(flatten)]
    archive: archive::Options,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    archive: String,
    files: usize,
    rounds: Vec<Round>,
    recommended_workers: Option<usize>,
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let (sweep, is_bucket) = match &args.what {
        What::S3(sweep) => (sweep, true),
        What::Http(sweep) => (sweep, false),
    };
    let options = sweep.archive.clone().or(&ctx.settings.archive);
    let archive = options.open()?;
    if archive.bucket().is_some() != is_bucket {
        let text = if is_bucket {
            "bench s3 needs a bucket: --archive s3://BUCKET"
        } else {
            "bench http needs a web server: --archive https://HOST/FOLDER"
        };
        return Err(Usage(text.to_owned()).into());
    }
    let mut keys = keys(ctx, sweep, &options, &archive)?;
    keys.truncate(sweep.files);
    if keys.is_empty() {
        ctx.printer.note("there is no file to fetch");
        return Ok(Exit::NothingMatched);
    }
    let bar = progress::bar(&ctx.printer, sweep.workers.len() as u64, "rounds");
    let mut rounds = Vec::new();
    for workers in &sweep.workers {
        rounds.push(ctx.block_on(bench::round(&archive, &keys, workers.get())));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let report = Report {
        version: 1,
        archive: archive.url("").to_string(),
        files: keys.len(),
        recommended_workers: bench::recommended(&rounds),
        rounds,
    };
    ctx.printer.data(&report, Report::show)?;
    Ok(if report.recommended_workers.is_some() { Exit::Ok } else { Exit::Quarantined })
}

fn keys(
    ctx: &Context,
    sweep: &Sweep,
    options: &archive::Options,
    archive: &Archive,
) -> anyhow::Result<Vec<String>> {
    let production = options.production()?;
    if let Some(path) = &sweep.from {
        return keys_of(ctx, path, &production, sweep);
    }
    if archive.bucket().is_none() {
        return Err(Usage("a web server lists nothing: name files with --from LIST".into()).into());
    }
    let programs = [(sweep.survey.clone(), sweep.program.clone())];
    let caller = options.caller(Arc::new(|_| {}))?;
    let files = ctx.block_on(list::files(&caller, &production, &programs, &[Kind::Coadd]))?;
    Ok(files.into_iter().map(|file| file.key).collect())
}

/// A tile as a whole stands for its coadd.
fn keys_of(
    ctx: &Context,
    path: &Path,
    production: &Production,
    sweep: &Sweep,
) -> anyhow::Result<Vec<String>> {
    let (survey, program) = (Some(sweep.survey.clone()), Some(sweep.program.clone()));
    let expected = Expected { production: production.clone(), bucket: None, survey, program };
    let (list, text) = (path.display().to_string(), tiles::read(path)?);
    let meant = tiles::meant(ctx.printer, &list, &text, &expected)?;
    let keys = meant.tiles.into_iter().flat_map(|(tile, kinds)| {
        let kinds = if kinds.is_empty() { vec![Kind::Coadd] } else { kinds };
        kinds.into_iter().map(|kind| production.key(&tile, kind)).collect::<Vec<_>>()
    });
    Ok(keys.collect())
}

impl Report {
    fn show(&self) -> String {
        let head = ["workers", "files", "MB", "s", "MB/s", "max MB/s", "failures", "slow-downs"];
        let mut table = printer::table(&head, &[0, 1, 2, 3, 4, 5, 6, 7]);
        for round in &self.rounds {
            table.add_row([
                round.workers.to_string(),
                round.files.to_string(),
                format!("{:.1}", round.bytes as f64 / 1e6),
                format!("{:.2}", round.seconds),
                format!("{:.1}", round.mean_mb_per_s),
                format!("{:.1}", round.max_mb_per_s),
                round.failures.to_string(),
                round.slow_downs.to_string(),
            ]);
        }
        let said = match self.recommended_workers {
            Some(workers) => format!("recommended: --requests {workers}"),
            None => "no round went without failures".to_owned(),
        };
        let first = self.rounds.iter().find_map(|round| round.first_failure.as_deref());
        let first = first.map(|failure| format!("\nfirst failure: {failure}")).unwrap_or_default();
        format!("{table}\n{}: {said}{first}", self.archive)
    }
}
