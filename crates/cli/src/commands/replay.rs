//! `bifrost replay`: does a saved snapshot still hold?

use crate::context::Context;
use crate::exit::{Exit, usage};
use bifrost_core::snapshot::{self, Finding, Kind, Report, Saved};
use std::path::{Path, PathBuf};

/// Arguments of `bifrost replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The snapshot; with --forget also its name, where the file is lost
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Read every file, and compare its SHA-256
    #[arg(long)]
    deep: bool,
    /// Let go of its files: gc may take those that were replaced
    #[arg(long, conflicts_with = "deep")]
    forget: bool,
    /// Keep its files again: a registry in another database, without a backup of the earlier one, does not
    #[arg(long, conflicts_with = "forget")]
    pin: bool,
}

#[derive(Debug, serde::Serialize)]
struct Forgotten {
    version: u32,
    name: String,
    files: u64,
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    if args.forget {
        return forget(ctx, &args.file);
    }
    let saved = Saved::read(&args.file).map_err(failed)?;
    let registry = if args.pin { ctx.registry()? } else { ctx.registry_to_read()? };
    if args.pin {
        ctx.block_on(snapshot::pin(&registry, &saved)).map_err(failed)?;
    }
    let report = ctx.block_on(snapshot::replay(&registry, saved, args.deep)).map_err(failed)?;
    ctx.printer.data(&report, show)?;
    Ok(if report.findings.is_empty() { Exit::Ok } else { Exit::Quarantined })
}

fn forget(ctx: &Context, file: &Path) -> anyhow::Result<Exit> {
    let name = match file.is_file() {
        true => Saved::read(file).map_err(failed)?.snapshot.name,
        false => file.display().to_string(),
    };
    let files = ctx.block_on(ctx.registry()?.unpin(&name))?;
    ctx.printer.data(&Forgotten { version: 1, name, files }, |forgotten| {
        format!("{} files are no longer kept for {}", forgotten.files, forgotten.name)
    })?;
    Ok(if files == 0 { Exit::NothingMatched } else { Exit::Ok })
}

fn show(report: &Report) -> String {
    let line = |finding: &Finding| {
        let path = finding.path.as_ref().map_or(String::new(), |path| format!("{path}: "));
        format!("{path}{}", finding.what)
    };
    let mut lines: Vec<String> = report.findings.iter().map(line).collect();
    let Report { id, name, commit, files, .. } = report;
    // another registry, or one that has forgotten, says nothing against it
    let is_sound = report.findings.iter().all(|finding| finding.kind == Kind::Registry);
    let whole = match (report.findings.is_empty(), is_sound) {
        (true, _) => "it holds",
        (_, true) => "its files are there; whether its answer is still the same cannot be asked",
        _ => "it does not hold",
    };
    let mut head = format!("{id}\n{files} files as of commit {commit}: {whole}");
    let moved = format!("{} of them were replaced since and lie in .bifrost", report.moved);
    let read = format!("{} were read, and have the bytes that they had", report.files_read);
    let more =
        format!("the registry can no longer rule out {} others, as it could then", report.more);
    let loose = format!(
        "only {} are kept for {name}: gc may take the others, unless --pin keeps them",
        report.pinned
    );
    let is_read = report.files_read > 0 && is_sound;
    let is_loose = is_sound && report.pinned < *files as i64;
    for (text, is_so) in
        [(moved, report.moved > 0), (read, is_read), (more, report.more > 0), (loose, is_loose)]
    {
        if is_so {
            head = format!("{head}; {text}");
        }
    }
    lines.push(head);
    lines.join("\n")
}

/// Turns a fault of the question into exit code 2.
pub fn failed(error: snapshot::Error) -> anyhow::Error {
    if error.is_usage() { usage(error).into() } else { error.into() }
}
