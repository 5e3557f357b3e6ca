//! What a command works with: settings, lake, registry, printer.

use crate::args::Global;
use crate::exit::Usage;
use crate::printer::Printer;
use crate::settings::Settings;
use bifrost_core::layout::Lake;
use std::path::Path;

/// Everything that is not an argument of the command itself.
pub struct Context {
    /// Merged settings.
    pub settings: Settings,
    /// Where output goes.
    pub printer: Printer,
}

impl Context {
    /// Merges settings and starts the log.
    pub fn new(global: Global) -> anyhow::Result<Self> {
        let settings = Settings::merged(global)?;
        start_log(&settings);
        let printer = Printer { json: settings.json, quiet: settings.quiet };
        Ok(Self { settings, printer })
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

fn start_log(settings: &Settings) {
    use tracing_subscriber::EnvFilter;
    let level = match (settings.quiet, settings.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info,bifrost=debug",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_from_env("BIFROST_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}
