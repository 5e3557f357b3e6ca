//! What can be typed.

use crate::commands;
use crate::exit::Usage;
use clap::error::ContextKind;
use clap::{Arg, ArgAction, Args, CommandFactory, Parser, Subcommand};
use std::path::PathBuf;

/// A survey's spectra as a lake of Parquet files, indexed by Postgres.
#[derive(Debug, Parser)]
#[command(name = "bifrost", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 ok, 1 failed, 2 usage, 3 finished but something was quarantined, \
4 nothing matched, 75 try again.
Every global option is also a key of bifrost.toml and a variable BIFROST_… of the same spelling; \
an option beats a variable, a variable beats the file.";

/// Options that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Settings file [default: ./bifrost.toml if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "BIFROST_CONFIG")]
    pub config: Option<PathBuf>,
    /// The lake's folder
    #[arg(long, global = true, value_name = "DIR", env = "BIFROST_LAKE")]
    pub lake: Option<PathBuf>,
    /// This machine's name in the registry [default: the one stored in the lake]
    #[arg(long, global = true, value_name = "NAME", env = "BIFROST_NODE")]
    pub node: Option<String>,
    /// Postgres that holds the registry [default: a private server of the lake]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "BIFROST_DATABASE_URL",
        hide_env_values = true
    )]
    pub database_url: Option<String>,
    /// Folder of Postgres' programs, for the private server [default: searched for]
    #[arg(long, global = true, value_name = "DIR", env = "BIFROST_POSTGRES_BIN")]
    pub postgres_bin: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long, global = true, env = "BIFROST_JSON", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub json: Option<bool>,
    /// Say only what went wrong
    #[arg(short, long, global = true, env = "BIFROST_QUIET", num_args = 0..=1, require_equals = true, default_missing_value = "true", conflicts_with = "verbose")]
    pub quiet: Option<bool>,
    /// Say more (-vv: still more)
    #[arg(short, long, global = true, env = "BIFROST_VERBOSE", action = ArgAction::Count)]
    pub verbose: u8,
}

impl Cli {
    /// Reads the arguments; ends the program where they are none, or ask for help.
    pub fn from_arguments() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            let told = error.get(ContextKind::InvalidArg).map(ToString::to_string);
            let is_told = |arg: &&Arg| {
                let option = arg.get_long().map(|long| format!("--{long} "));
                told.as_ref().zip(option).is_some_and(|(told, option)| told.starts_with(&option))
            };
            let command = Self::command();
            let variable = command.get_arguments().find(is_told).and_then(Arg::get_env);
            if let Some(name) =
                variable.filter(|name| std::env::var_os(name).is_some_and(|v| v.is_empty()))
            {
                let told = format!("{} is empty: give it a value, or leave it out", name.display());
                crate::printer::complain(&Usage(told).into());
            }
            error.exit()
        })
    }
}

/// The variable of a global option.
pub fn variable(key: &str) -> String {
    format!("BIFROST_{}", key.to_uppercase())
}

impl Command {
    /// Whether it works for days, unattended: then its log is for machines too.
    pub fn is_long(&self) -> bool {
        matches!(self, Self::Run(_))
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write synthetic tiles in the archive's exact format
    Mock(commands::mock::Args),
    /// Start, stop or look into the lake's private Postgres
    Db(commands::db::Args),
    /// Say which tiles there are to make, from the archive or from a list
    Inventory(commands::inventory::Args),
    /// Bring tiles' files from the archive, whole and verified
    Fetch(commands::fetch::Args),
    /// Measure how many transfers at a time serve best
    Bench(commands::bench::Args),
    /// Fuse the archive's files of each tile into one Parquet file
    Convert(commands::convert::Args),
    /// Make all queued tiles: fetch, verify, convert, publish; on any number of nodes
    Run(commands::run::Args),
    /// List the stages, or make a product from another
    Stage(commands::stage::Args),
    /// Find groups of galaxies over the whole survey
    Groups(commands::groups::Args),
    /// Find filaments, voids and what is between them over the whole survey
    Web(commands::web::Args),
    /// Say how the campaign stands
    Status(commands::status::Args),
    /// List tiles that failed, and queue them again
    Failures(commands::failures::Args),
    /// List the nodes of the campaign, or forget one
    Nodes(commands::nodes::Args),
    /// Bring the registry and the datasheet up to date with the lake
    Sync(commands::sync::Args),
    /// Hold the registry against the disk, and the files against what they should be
    Verify(commands::verify::Args),
    /// Say what of the lake's private folder nobody needs any more, and take it away step by step
    Gc(commands::gc::Args),
    /// Show the HATS catalogs of several lakes as one
    View(commands::view::Args),
    /// List the registry's commits, newest first
    Log(commands::log::Args),
    /// Say which files were added, replaced and removed from one commit to another
    Diff(commands::diff::Args),
    /// Say which files and row groups answer a question
    Resolve(commands::resolve::Args),
    /// Read the rows that answer a question
    Read(commands::read::Args),
    /// Find rows near the positions of a list of your own
    Match(commands::crossmatch::Args),
    /// Make a lake of its own of the rows that answer a question
    Export(commands::export::Args),
    /// Show an object's spectrum, or write it as CSV, JSON, FITS or a figure
    Spectrum(commands::spectrum::Args),
    /// Say whether a saved snapshot still holds, or let go of its files
    Replay(commands::replay::Args),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn commands_fit_together() {
        Cli::command().debug_assert();
    }
}
