//! `bifrost verify`: hold the registry against the disk, and the files against what they should be.

use crate::commands::sync::Bars;
use crate::context::Context;
use crate::datasheet;
use crate::exit::Exit;
use bifrost_core::sync::verify::{Kind, Report, Request};
use bifrost_core::sync::{self, verify};
use std::time::{SystemTime, UNIX_EPOCH};

/// Arguments of `bifrost verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read the files: checksums, counts, columns, order, positions, duplicates
    #[arg(long)]
    deep: bool,
    /// Read only so many files, drawn by lot
    #[arg(long, value_name = "N", requires = "deep")]
    sample: Option<usize>,
    /// What the lot is drawn with [default: the time]
    #[arg(long, value_name = "NUMBER", requires = "sample")]
    seed: Option<u64>,
    /// Bring the registry into line; no file is touched
    #[arg(long)]
    repair: bool,
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let lake = ctx.lake()?;
    let registry = if args.repair { ctx.registry()? } else { ctx.registry_to_read()? };
    ctx.refuse_copy(&registry, &lake)?;
    let options = sync::Options {
        node: ctx.node(&lake),
        catalog: ctx.settings.sync.products(),
        uri_prefixes: None,
        dry_run: false,
        key: None,
    };
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let request = Request {
        deep: args.deep,
        sample: args.sample,
        seed: args.seed.unwrap_or_else(now),
        repair: args.repair,
    };
    let bars = Bars::new(ctx.printer);
    let verified = verify::run(&registry, &lake, &request, &options, bars.progress());
    let report = ctx.block_on(verified)?;
    bars.clear();
    ctx.printer.data(&report, summary)?;
    if !report.commits.is_empty() && !ctx.settings.sync.leaves_datasheet() {
        datasheet::refresh(ctx, &registry, &lake)?;
    }
    Ok(if report.is_sound() { Exit::Ok } else { Exit::Quarantined })
}

fn summary(report: &Report) -> String {
    let mut lines: Vec<String> = report
        .findings
        .iter()
        .map(|f| format!("{}: {}: {}", name(f.kind), f.path, f.what))
        .collect();
    if report.findings_left_out > 0 {
        lines.push(format!("and {} more", report.findings_left_out));
    }
    let wrong: Vec<String> =
        report.wrong.iter().map(|(kind, count)| format!("{count} {}", name(*kind))).collect();
    let wrong = if wrong.is_empty() { "nothing is wrong".to_owned() } else { wrong.join(", ") };
    let mut read = String::new();
    if report.files_read > 0 {
        let size = crate::printer::size(report.bytes_read);
        let seed = report.seed.map_or(String::new(), |seed| format!(", drawn with seed {seed}"));
        read = format!(", {} read ({size}{seed})", report.files_read);
    }
    lines.push(format!("{} files{read}: {wrong} ({:.2} s)", report.files, report.seconds));
    if report.still_quarantined > 0 {
        lines.push(format!("{} files stay in quarantine", report.still_quarantined));
    }
    let commits: Vec<String> = report.commits.iter().map(ToString::to_string).collect();
    if !commits.is_empty() {
        lines.push(format!("the registry was brought into line by commit {}", commits.join(", ")));
    }
    lines.join("\n")
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Missing => "missing",
        Kind::Changed => "changed",
        Kind::Unknown => "unknown",
        Kind::Damaged => "damaged",
        Kind::Duplicate => "duplicate",
        Kind::Unread => "unread",
    }
}
