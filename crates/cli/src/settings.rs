//! Settings, merged once: an option beats a variable, a variable beats `bifrost.toml`.

use crate::args::{self, Global};
use crate::exit::Usage;
use anyhow::Context as _;
use bifrost_core::cluster::Surroundings;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The settings file. Its keys are spelled as the options are.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The lake's folder.
    pub lake: Option<PathBuf>,
    /// This machine's name.
    pub node: Option<String>,
    /// Postgres that holds the registry.
    pub database_url: Option<String>,
    /// Folder of Postgres' programs.
    pub postgres_bin: Option<PathBuf>,
    /// JSON instead of tables.
    pub json: bool,
    /// Say only what went wrong.
    pub quiet: bool,
    /// Say more.
    pub verbose: u8,
    /// Where the archive is, and how it is asked.
    pub archive: crate::archive::Options,
    /// Options of `bifrost fetch`.
    pub fetch: crate::commands::fetch::Options,
    /// Options of `bifrost convert`.
    pub convert: crate::commands::convert::Options,
    /// Options of `bifrost run`.
    pub run: crate::commands::run::Options,
    /// Options of `bifrost stage`.
    pub stage: crate::commands::stage::Options,
    /// Options of `bifrost groups`.
    pub groups: crate::commands::groups::Options,
    /// Options of `bifrost web`.
    pub web: crate::commands::web::Options,
    /// Options of `bifrost sync`.
    pub sync: crate::commands::sync::Options,
}

impl Settings {
    /// Reads the settings file and lays the options over it.
    pub fn merged(global: Global) -> anyhow::Result<Self> {
        let mut settings = match &global.config {
            Some(path) => Self::read(path)?,
            None if Path::new("bifrost.toml").is_file() => Self::read(Path::new("bifrost.toml"))?,
            None => Self::default(),
        };
        settings.lake = global.lake.or(settings.lake);
        settings.node = global.node.or(settings.node);
        settings.database_url = global.database_url.or(settings.database_url);
        settings.postgres_bin = global.postgres_bin.or(settings.postgres_bin);
        settings.json = global.json.unwrap_or(settings.json);
        settings.quiet = global.quiet.unwrap_or(settings.quiet);
        settings.verbose = settings.verbose.max(global.verbose);
        settings.check()?;
        Ok(settings)
    }

    /// What is empty was meant to be something: a variable whose own variable was not set. A node's name
    /// is kept for good.
    fn check(&self) -> Result<(), Usage> {
        let path = |path: &Option<PathBuf>| path.as_ref().is_some_and(|p| p.as_os_str().is_empty());
        let text = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
        let settings = [
            ("lake", path(&self.lake)),
            ("node", text(&self.node)),
            ("database_url", text(&self.database_url)),
            ("postgres_bin", path(&self.postgres_bin)),
        ];
        if let Some((key, _)) = settings.into_iter().find(|(_, is_empty)| *is_empty) {
            return Err(Usage(format!(
                "{} is empty (or --{}, or {key} in bifrost.toml): give it a value, or leave it out",
                args::variable(key),
                key.replace('_', "-"),
            )));
        }
        match self.node.as_ref().filter(|name| name.contains(char::is_control)) {
            Some(name) => {
                let name = name.escape_debug();
                Err(Usage(format!("--node '{name}': a node's name has no control characters")))
            }
            None => Ok(()),
        }
    }

    /// What the private Postgres needs to know of this machine and its user.
    pub fn surroundings(&self) -> Surroundings {
        Surroundings { programs: self.postgres_bin.clone(), ..Surroundings::of_this_process() }
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("failed to read settings from {}", path.display()))?;
        toml::from_str(&text).map_err(|e| Usage(format!("{}: {e}", path.display())).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_to_nothing_is_a_mistake() {
        let with = |node: &str, url: &str| {
            let database_url = Some(url.to_owned());
            Settings { node: Some(node.to_owned()), database_url, ..Settings::default() }.check()
        };
        assert!(with("alpha 1", "host=/tmp").is_ok() && Settings::default().check().is_ok());
        for (node, url) in [("", "host=/tmp"), (" ", "host=/tmp"), ("a\nb", "host=/tmp"), ("a", "")]
        {
            assert!(with(node, url).is_err(), "'{node}' '{url}'");
        }
    }
}
