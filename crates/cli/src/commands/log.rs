//! `bifrost log`: the registry's commits.

use crate::context::Context;
use crate::exit::Exit;
use crate::history::commit_at;
use crate::printer;
use bifrost_core::registry::{Changes, CommitRow};
use serde::Serialize;

/// Arguments of `bifrost log`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Commits to list at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// List those up to a commit, or a time
    #[arg(long, value_name = "COMMIT|TIME")]
    until: Option<String>,
}

#[derive(Debug, Serialize)]
struct Log {
    version: u32,
    commits: Vec<CommitRow>,
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let registry = ctx.registry_to_read()?;
    let until = args.until.as_deref().map(|text| commit_at(ctx, &registry, text)).transpose()?;
    let commits = ctx.ask(|| registry.log(args.limit.into(), until))?;
    let log = Log { version: 1, commits };
    ctx.printer.data(&log, show)?;
    Ok(if log.commits.is_empty() { Exit::NothingMatched } else { Exit::Ok })
}

fn show(log: &Log) -> String {
    if log.commits.is_empty() {
        return String::new();
    }
    let head = ["commit", "at", "what", "node", "by", "files", "rows", "key"];
    let mut table = printer::table(&head, &[0, 6]);
    for commit in &log.commits {
        table.add_row([
            commit.commit.to_string(),
            commit.at.format("%Y-%m-%d %H:%M:%S").to_string(),
            commit.action.clone().unwrap_or_default(),
            commit.node.clone(),
            commit.by.clone().unwrap_or_default(),
            files(&commit.changes),
            format!("{:+}", commit.changes.rows_added - commit.changes.rows_removed),
            named(&commit.key),
        ]);
    }
    table.to_string()
}

/// A key that somebody chose; those that were made up are of interest to programs.
fn named(key: &str) -> String {
    let is_made_up = uuid::Uuid::parse_str(key).is_ok();
    if is_made_up { String::new() } else { key.to_owned() }
}

fn files(changes: &Changes) -> String {
    let counts = [
        (changes.files_added, "added"),
        (changes.files_changed + changes.files_replaced, "replaced"),
        (changes.files_missing, "missing"),
        (changes.files_quarantined, "quarantined"),
    ];
    let told = counts.iter().filter(|(count, _)| *count != 0);
    told.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}
