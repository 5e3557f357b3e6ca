//! What a command works with: settings, lake, registry, printer.

use crate::args::Global;
use crate::exit::Usage;
use crate::printer::Printer;
use crate::progress::BesideTheBar;
use crate::settings::Settings;
use bifrost_core::cluster::Cluster;
use bifrost_core::layout::Lake;
use bifrost_core::patience::{MayPass, OF_A_COMMAND, patiently};
use bifrost_core::registry::{LATEST, Registry};
use std::io::IsTerminal;
use std::path::Path;

/// Everything that is not an argument of the command itself.
pub struct Context {
    /// Merged settings.
    pub settings: Settings,
    /// Where output goes.
    pub printer: Printer,
    runtime: tokio::runtime::Runtime,
}

impl Context {
    /// Merges settings and starts the log.
    pub fn new(global: Global, is_long: bool) -> anyhow::Result<Self> {
        let settings = Settings::merged(global)?;
        let is_logged = is_long && !std::io::stderr().is_terminal();
        start_log(&settings, is_logged);
        let printer = Printer { json: settings.json, quiet: settings.quiet, is_logged };
        let runtime = tokio::runtime::Runtime::new()?;
        Ok(Self { settings, printer, runtime })
    }

    /// Runs asynchronous work to its end.
    pub fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// Asks the registry until it answers, or has been away for longer than somebody waits: what is
    /// asked must be such that it may be asked twice.
    pub fn ask<T, E: MayPass, F: Future<Output = Result<T, E>>>(
        &self,
        attempt: impl FnMut() -> F,
    ) -> Result<T, E> {
        self.block_on(patiently(OF_A_COMMAND, attempt))
    }

    /// The registry for commands that write: its tables are made or brought up to date.
    pub fn registry(&self) -> anyhow::Result<Registry> {
        let registry = self.connected()?;
        let before = self.ask(|| registry.migrate())?;
        if let Some(before) = before.filter(|before| *before < LATEST) {
            self.printer.note(&format!(
                "the registry was brought from schema {before} to {LATEST}: earlier programs cannot use it any more"
            ));
        }
        Ok(registry)
    }

    /// The registry for commands that write what is in a lake.
    pub fn registry_of(&self, lake: &Lake) -> anyhow::Result<Registry> {
        let registry = self.registry()?;
        self.refuse_copy(&registry, lake)?;
        Ok(registry)
    }

    /// Refuses a copy of a lake that is still there: in a registry that both share, one would be taken for the
    /// other.
    pub fn refuse_copy(&self, registry: &Registry, lake: &Lake) -> anyhow::Result<()> {
        if self.settings.database_url.is_none() {
            return Ok(());
        }
        let lakes = self.ask(|| registry.lakes())?;
        let mut known = lakes.iter().filter(|(id, ..)| *id == lake.identity().lake_id);
        match known.find(|(.., root)| lake.is_twin_of(Path::new(root))) {
            Some((.., root)) => Err(twins(lake, Path::new(root)).into()),
            None => Ok(()),
        }
    }

    /// The registry for commands that only read: a shared one is left as it is.
    pub fn registry_to_read(&self) -> anyhow::Result<Registry> {
        if self.settings.database_url.is_none() {
            return self.registry();
        }
        let registry = self.connected()?;
        self.ask(|| registry.check_schema())?;
        Ok(registry)
    }

    /// The registry, whatever its tables are like.
    pub fn connected(&self) -> anyhow::Result<Registry> {
        Ok(self.block_on(Registry::connect(&self.database_url()?))?)
    }

    /// Where the registry is: the server that was named, else the lake's own, started if need be.
    pub fn database_url(&self) -> anyhow::Result<String> {
        if let Some(url) = &self.settings.database_url {
            return Ok(url.clone());
        }
        let (cluster, started) = Cluster::up(&self.lake()?, &self.settings.surroundings())?;
        if started {
            let folder = cluster.folder().display();
            self.printer.note(&format!("started the lake's private Postgres in {folder}"));
        }
        Ok(cluster.url())
    }

    /// The lake that commands read; it must exist.
    pub fn lake(&self) -> anyhow::Result<Lake> {
        Ok(Lake::open(self.lake_dir()?)?)
    }

    /// The lake that commands write; made if it is not there.
    pub fn lake_or_new(&self) -> anyhow::Result<Lake> {
        Ok(Lake::open_or_create(self.lake_dir()?, &self.node_for_new_lake()?)?)
    }

    /// The node that this run speaks for: `--node`, else the lake's.
    pub fn node(&self, lake: &Lake) -> String {
        self.settings.node.clone().unwrap_or_else(|| lake.identity().node.clone())
    }

    fn lake_dir(&self) -> anyhow::Result<&Path> {
        self.settings.lake.as_deref().ok_or_else(|| {
            Usage("which lake? give --lake DIR, set BIFROST_LAKE, or write lake = \"DIR\" into bifrost.toml".into())
                .into()
        })
    }

    fn node_for_new_lake(&self) -> anyhow::Result<String> {
        if let Some(node) = &self.settings.node {
            return Ok(node.clone());
        }
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim();
        Ok(if host.is_empty() { "localhost".into() } else { host.to_owned() })
    }
}

/// What to do about two folders that are one lake, as far as a registry can tell.
pub fn twins(lake: &Lake, other: &Path) -> Usage {
    let (here, other, id) = (lake.root().display(), other.display(), lake.identity().lake_id);
    Usage(format!(
        "{here} and {other} have one identity ({id}), by which the registry knows the latter: one is a copy of \
         the other. Remove {here}/.bifrost/lake.json to register this one beside it; if it is to take the \
         other's place, remove {other}/.bifrost/lake.json"
    ))
}

/// Of a command that works for days more is told, in JSON, unless somebody looks on: who does sees
/// a bar, and what is wrong.
fn start_log(settings: &Settings, is_unattended: bool) {
    use tracing_subscriber::EnvFilter;
    let level = match (settings.quiet, settings.verbose) {
        (true, _) => "error",
        (false, 0) if is_unattended => "warn,bifrost=info,bifrost_campaign=info",
        (false, 0) => "warn",
        (false, 1) => "info,bifrost=debug",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_from_env("BIFROST_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| BesideTheBar)
        .with_target(false);
    if is_unattended {
        log.json().flatten_event(true).init();
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).init();
    }
}
