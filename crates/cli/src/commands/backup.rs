//! `bifrost db backup`, `restore` and `rebuild`: a registry outlives its server.

use crate::context::{Context, twins};
use crate::datasheet;
use crate::exit::{Exit, Usage};
use anyhow::{Context as _, bail};
use bifrost_core::cluster;
use bifrost_core::layout::Lake;
use bifrost_core::patience::{OF_A_COMMAND, patiently};
use bifrost_core::registry::{Lost, Registry, psql_variables};
use bifrost_core::sync;
use bifrost_stages::datasheet::as_of;
use serde::Serialize;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Arguments of `bifrost db rebuild`.
#[derive(Debug, clap::Args)]
pub struct Rebuild {
    /// Other lakes on this machine that the registry is made of, too
    #[arg(value_name = "LAKE")]
    lakes: Vec<PathBuf>,
    /// Forget what the registry holds of files, objects and commits, of all lakes
    #[arg(long)]
    discard: bool,
}

/// A backup that was written.
#[derive(Debug, Serialize)]
struct Backup {
    version: u32,
    file: PathBuf,
    size_bytes: u64,
}

/// Writes everything that is in the database into a file, from one snapshot of it.
pub fn backup(ctx: &Context, file: &Path) -> anyhow::Result<Exit> {
    if file.exists() {
        return Err(Usage(format!("{} is there already", file.display())).into());
    }
    let url = ctx.database_url()?;
    let mut draft = file.as_os_str().to_owned();
    draft.push(".part");
    let draft = PathBuf::from(draft);
    let mut dump = client(ctx, &url, "pg_dump")?;
    let dumped = dump.args(["--format=custom", "--no-owner", "--file"]).arg(&draft);
    let written = carry_out(dumped).and_then(|()| {
        // a backup that cannot be listed is none
        carry_out(client(ctx, &url, "pg_restore")?.arg("--list").arg(&draft))?;
        File::open(&draft)?.sync_all()?;
        Ok(fs::metadata(&draft)?.len())
    });
    let size_bytes = match written {
        Ok(size_bytes) => size_bytes,
        Err(e) => {
            // it may not even have been made
            let _ = fs::remove_file(&draft);
            return Err(e);
        }
    };
    fs::rename(&draft, file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    let backup = Backup { version: 1, file: file.to_owned(), size_bytes };
    ctx.printer.data(&backup, |b| {
        format!("{}: {}", b.file.display(), crate::printer::size(b.size_bytes.cast_signed()))
    })?;
    Ok(Exit::Ok)
}

/// Puts a backup into an empty database, whole or not at all.
pub fn restore(ctx: &Context, file: &Path) -> anyhow::Result<Exit> {
    if !file.is_file() {
        return Err(Usage(format!("there is no file {}", file.display())).into());
    }
    let url = ctx.database_url()?;
    let registry = ctx.block_on(Registry::connect(&url))?;
    if !ctx.block_on(registry.is_empty())? {
        let text = format!(
            "the database at {} is not empty: make a new one and name it with --database-url, or move a private one away",
            registry.place()
        );
        return Err(Usage(text).into());
    }
    let variables = psql_variables(&url)?;
    let database = variables.iter().find(|(name, _)| *name == "PGDATABASE");
    let database = database.map(|(_, name)| name.as_str()).context("which database?")?;
    let mut restore = client(ctx, &url, "pg_restore")?;
    restore.args(["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]);
    carry_out(restore.arg("--dbname").arg(database).arg(file))?;
    ctx.block_on(async {
        registry.migrate().await?;
        registry.grant().await?;
        registry.end_others().await?;
        // the lake may remember commits that came after the backup
        match ctx.lake().ok().as_ref().and_then(as_of) {
            Some(last) => registry.number_after(last).await,
            None => Ok(()),
        }
    })?;
    ctx.printer.note("restored; bifrost sync, on each node, takes up what has changed since");
    Ok(Exit::Ok)
}

/// One of Postgres' programs, set to the database.
fn client(ctx: &Context, url: &str, name: &str) -> anyhow::Result<Command> {
    let major = ctx.block_on(async { Registry::connect(url).await?.server_major().await })?;
    let program = cluster::client(&ctx.settings.surroundings(), name, major)?;
    let mut command = Command::new(program);
    command.envs(psql_variables(url)?).stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}

fn carry_out(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let ended = command.output().with_context(|| format!("failed to run {name}"))?;
    if !ended.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&ended.stderr).trim());
    }
    Ok(())
}

/// What a registry was made of, and what it lacks.
#[derive(Debug, Serialize)]
struct Rebuilt {
    version: u32,
    lakes: Vec<sync::Report>,
    /// What was known before, and now only a backup knows.
    lost: Lost,
    /// Files that are still kept for snapshots.
    pins: i64,
    /// Lakes that were registered and are not any more: each must be synced on its node.
    to_sync: Vec<Absent>,
}

#[derive(Debug, Serialize)]
struct Absent {
    node: String,
    root: String,
}

/// Makes the registry anew from lakes.
pub fn rebuild(ctx: &Context, args: &Rebuild) -> anyhow::Result<Exit> {
    let mut lakes = vec![ctx.lake()?];
    for folder in &args.lakes {
        let lake = Lake::open(folder)?;
        if let Some(twin) = lakes.iter().find(|known| known.is_twin_of(lake.root())) {
            return Err(twins(&lake, twin.root()).into());
        }
        if lakes.iter().all(|known| known.root() != lake.root()) {
            lakes.push(lake);
        }
    }
    let registry = ctx.registry()?;
    let lost = ctx.ask(|| registry.lost())?;
    let registered = ctx.ask(|| registry.lakes())?;
    if lost != Lost::default() || !registered.is_empty() {
        if !args.discard {
            let text = format!(
                "the registry at {} is not empty: {}; --discard forgets all that (bifrost db backup FILE keeps it)",
                registry.place(),
                told(&lost)
            );
            return Err(Usage(text).into());
        }
        ctx.ask(|| registry.discard())?;
    }
    // a number that a datasheet names is not used twice
    if let Some(last) = lakes.iter().filter_map(as_of).max() {
        ctx.ask(|| registry.number_after(last))?;
    }
    let mut reports = Vec::new();
    for lake in &lakes {
        let options = sync::Options {
            node: if lakes.len() == 1 { ctx.node(lake) } else { lake.identity().node.clone() },
            catalog: ctx.settings.sync.products(),
            uri_prefixes: None,
            dry_run: false,
            key: None,
        };
        let synced =
            patiently(OF_A_COMMAND, || sync::run(&registry, lake, &options, Arc::new(|_| {})));
        let what = "the registry is not whole yet: run bifrost sync on each node, or this again";
        reports.push(ctx.block_on(synced).context(what)?);
    }
    if !ctx.settings.sync.leaves_datasheet() {
        for lake in &lakes {
            datasheet::refresh(ctx, &registry, lake)?;
        }
    }
    let is_made = |id| lakes.iter().any(|lake| lake.identity().lake_id == id);
    let absent = registered.into_iter().filter(|(id, _, _)| !is_made(*id));
    let to_sync = absent.map(|(_, node, root)| Absent { node, root }).collect();
    let has_quarantined = reports.iter().any(|report| !report.quarantined.is_empty());
    let pins = ctx.block_on(registry.pins())?;
    let rebuilt = Rebuilt { version: 1, lakes: reports, lost, pins, to_sync };
    ctx.printer.data(&rebuilt, summary)?;
    Ok(if has_quarantined { Exit::Quarantined } else { Exit::Ok })
}

fn told(lost: &Lost) -> String {
    format!(
        "{} commits, {} versions of files that are gone, {} marks of gc",
        lost.commits, lost.files_gone, lost.gc_marks
    )
}

fn summary(rebuilt: &Rebuilt) -> String {
    let sum = |count: fn(&sync::Report) -> i64| rebuilt.lakes.iter().map(count).sum::<i64>();
    let mut lines = vec![format!(
        "made anew of {} lakes: {} files, {} rows, {} objects",
        rebuilt.lakes.len(),
        sum(|report| report.changes.files_added),
        sum(|report| report.changes.rows_added),
        sum(|report| report.changes.catalog_added)
    )];
    let quarantined = rebuilt.lakes.iter().flat_map(|report| &report.quarantined);
    lines.extend(quarantined.map(|q| format!("quarantined: {} {}", q.path, q.reason)));
    if rebuilt.lost != Lost::default() {
        lines.push(format!("forgotten: {}", told(&rebuilt.lost)));
    }
    if rebuilt.pins > 0 {
        lines.push(format!("gc still keeps {} files for saved snapshots", rebuilt.pins));
    }
    lines.push(
        "only a backup keeps: earlier commits (history, time travel), the ledgers of campaign and stages, the archive's inventory, URI prefixes, and, in another database, pins of snapshots: bifrost replay FILE --pin keeps the files of each again"
            .to_owned(),
    );
    let to_sync = rebuilt.to_sync.iter();
    lines.extend(to_sync.map(|a| format!("run bifrost sync on node {} for {}", a.node, a.root)));
    lines.join("\n")
}
