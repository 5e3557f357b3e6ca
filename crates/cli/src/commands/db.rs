//! `bifrost db`: the database behind the lake.
//!
//! `up`, `down` and `status` look after the lake's private Postgres; where `--database-url` names
//! a server, that one is somebody else's to start and stop.

use crate::commands::backup;
use crate::context::Context;
use crate::exit::Exit;
use anyhow::Context as _;
use bifrost_core::cluster::{Cluster, State};
use bifrost_core::registry::{LATEST, Registry, psql_variables};
use serde::Serialize;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command as Program;
use std::time::Duration;

/// Arguments of `bifrost db`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Start the lake's private Postgres; make it first if there is none
    Up,
    /// Stop the lake's private Postgres
    Down,
    /// Say how the database is: exit code 0 if it is up, 4 if not
    Status,
    /// Make the registry's tables, or bring them up to date
    Migrate,
    /// Write the whole database into a file (pg_dump's custom format)
    Backup {
        /// The file; none may be there yet
        file: PathBuf,
    },
    /// Put a backup into an empty database
    Restore {
        /// The backup
        file: PathBuf,
    },
    /// Make the registry anew from the lakes alone
    Rebuild(backup::Rebuild),
    /// Open psql on the registry's database
    Psql {
        /// What to pass to psql
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<String>,
    },
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Up => up(ctx),
        Command::Down => down(ctx),
        Command::Status => status(ctx),
        Command::Migrate => migrate(ctx),
        Command::Backup { file } => backup::backup(ctx, file),
        Command::Restore { file } => backup::restore(ctx, file),
        Command::Rebuild(args) => backup::rebuild(ctx, args),
        Command::Psql { args } => psql(ctx, args),
    }
}

fn up(ctx: &Context) -> anyhow::Result<Exit> {
    if is_named(ctx) {
        return Ok(Exit::Ok);
    }
    let lake = ctx.lake_or_new()?;
    let (cluster, started) = Cluster::up(&lake, &ctx.settings.surroundings())?;
    let folder = cluster.folder().display();
    let news = if started { "started" } else { "was up already" };
    ctx.printer.note(&format!("private Postgres in {folder}: {news}"));
    Ok(Exit::Ok)
}

fn down(ctx: &Context) -> anyhow::Result<Exit> {
    if is_named(ctx) {
        return Ok(Exit::Ok);
    }
    let stopped = match Cluster::existing(&ctx.lake()?, &ctx.settings.surroundings())? {
        Some(cluster) => cluster.down()?,
        None => false,
    };
    ctx.printer.note(if stopped {
        "private Postgres: stopped"
    } else {
        "private Postgres: not up"
    });
    Ok(Exit::Ok)
}

/// Whether the server is somebody else's to start and stop; says so.
fn is_named(ctx: &Context) -> bool {
    let named = ctx.settings.database_url.is_some();
    if named {
        ctx.printer.note("--database-url names the server: there is nothing to start or stop");
    }
    named
}

/// So long the system takes to clear away what was killed.
const A_MOMENT: Duration = Duration::from_millis(300);

/// How the database is.
#[derive(Serialize)]
struct Status {
    version: u32,
    running: bool,
    /// Whether it is the lake's own.
    private: bool,
    server_version: Option<String>,
    /// Schema of the registry in the database.
    schema: Option<i32>,
    /// Schema that this program works with.
    schema_known: i32,
    size_bytes: Option<i64>,
    url: Option<String>,
    folder: Option<PathBuf>,
    user: Option<String>,
    pid: Option<i32>,
}

fn status(ctx: &Context) -> anyhow::Result<Exit> {
    let status = match &ctx.settings.database_url {
        Some(url) => status_of_named(ctx, url)?,
        None => status_of_private(ctx)?,
    };
    ctx.printer.data(&status, shown)?;
    Ok(if status.running { Exit::Ok } else { Exit::NothingMatched })
}

fn status_of_named(ctx: &Context, url: &str) -> anyhow::Result<Status> {
    let mut status = Status::new(false);
    if let Err(e) = status.ask(ctx, url) {
        ctx.printer.note(&format!("{e:#}"));
    }
    Ok(status)
}

fn status_of_private(ctx: &Context) -> anyhow::Result<Status> {
    let mut status = Status::new(true);
    let Some(cluster) = Cluster::existing(&ctx.lake()?, &ctx.settings.surroundings())? else {
        return Ok(status);
    };
    status.server_version = cluster.made_by();
    status.folder = Some(cluster.folder().to_owned());
    status.user = Some(cluster.owner().to_owned());
    status.pid = cluster.pid();
    status.url = Some(cluster.url());
    if cluster.state()? == State::Up && status.ask(ctx, &cluster.url()).is_err() {
        // one that was killed a moment ago is still there, and answers nobody
        std::thread::sleep(A_MOMENT);
        if cluster.state()? == State::Up {
            status.ask(ctx, &cluster.url())?;
        }
    }
    Ok(status)
}

impl Status {
    fn new(private: bool) -> Self {
        Self {
            version: 1,
            running: false,
            private,
            server_version: None,
            schema: None,
            schema_known: LATEST,
            size_bytes: None,
            url: None,
            folder: None,
            user: None,
            pid: None,
        }
    }

    /// Fills in what only a running server can say.
    fn ask(&mut self, ctx: &Context, url: &str) -> anyhow::Result<()> {
        ctx.block_on(async {
            let registry = Registry::connect(url).await?;
            self.server_version = Some(registry.server_major().await?.to_string());
            self.schema = registry.schema_version().await?;
            self.size_bytes = Some(registry.size_bytes().await?);
            self.running = true;
            Ok(())
        })
    }
}

fn shown(status: &Status) -> String {
    fn or_dash(value: Option<impl ToString>) -> String {
        value.map_or_else(|| "-".into(), |value| value.to_string())
    }
    let server = if status.private { "the lake's own" } else { "named by --database-url" };
    let megabytes = status.size_bytes.map(|size| format!("{:.1} MB", size as f64 / 1e6));
    let folder = status.folder.as_ref().map(|folder| folder.display());
    let rows = [
        ("server", server.to_owned()),
        ("running", if status.running { "yes" } else { "no" }.to_owned()),
        ("version", or_dash(status.server_version.as_ref())),
        ("schema", format!("{} (known: {})", or_dash(status.schema), status.schema_known)),
        ("size", or_dash(megabytes)),
        ("url", or_dash(status.url.as_ref())),
        ("folder", or_dash(folder)),
        ("user", or_dash(status.user.as_ref())),
        ("pid", or_dash(status.pid)),
    ];
    rows.iter().map(|(name, value)| format!("{name:<8} {value}\n")).collect()
}

fn migrate(ctx: &Context) -> anyhow::Result<Exit> {
    let found = ctx.block_on(ctx.connected()?.migrate())?;
    ctx.printer.note(&match found {
        Some(LATEST) => format!("schema {LATEST}: nothing to do"),
        Some(version) => format!("schema {version} brought to {LATEST}"),
        None => format!("schema {LATEST} made"),
    });
    Ok(Exit::Ok)
}

/// Becomes psql; only comes back if that fails.
fn psql(ctx: &Context, args: &[String]) -> anyhow::Result<Exit> {
    let url = ctx.database_url()?;
    let around = ctx.settings.surroundings();
    let program = bifrost_core::cluster::psql(&around);
    let failed = Program::new(&program).args(args).envs(psql_variables(&url)?).exec();
    Err(failed).with_context(|| {
        format!("failed to run {} (Debian: apt install postgresql-client)", program.display())
    })
}
