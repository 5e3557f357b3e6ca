//! `bifrost stage`: what stages there are, and running those that make products from products.

mod list;
pub(crate) mod report;
pub(crate) mod run;
mod store;

use crate::context::Context;
use crate::exit::{Exit, Usage};
use bifrost_stages::stage::{self, FROM_PRODUCTS, FromProduct, OVER_THE_SURVEY};
use bifrost_stages::store::Compression;
use serde::Deserialize;
use std::num::NonZero;
pub use store::Room;

/// Arguments of `bifrost stage`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Say which stages there are, and how far each is
    List(list::Args),
    /// Make a stage's product from this lake's files: what is missing or stale
    Run(run::Args),
}

/// What may also be set in `bifrost.toml`, under `[stage]`, with the same spelling.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[group(skip)]
pub struct Options {
    /// Tiles at a time [default: one a core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Tries of a tile that the disk refuses [default: 3]
    #[arg(long, value_name = "N")]
    tries: Option<NonZero<u32>>,
    /// Pause after the first of them, seconds; each is four times as long as the last [default: 5]
    #[arg(long, value_name = "S")]
    retry_pause: Option<f64>,
    /// Do not verify the checksums of the files that are read
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_verify: Option<bool>,
    /// Compression of a spectra store: gzip, gzip=LEVEL (1 to 9) or none [default: gzip=4]
    #[arg(long, value_name = "CODEC")]
    store_compression: Option<Compression>,
    /// Do without a registry: the files tell what is stale, the next sync registers
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_registry: Option<bool>,
}

impl Options {
    /// These, and where they are silent, those.
    fn or(self, those: &Self) -> Self {
        Self {
            jobs: self.jobs.or(those.jobs),
            tries: self.tries.or(those.tries),
            retry_pause: self.retry_pause.or(those.retry_pause),
            no_verify: self.no_verify.or(those.no_verify),
            store_compression: self.store_compression.or(those.store_compression),
            no_registry: self.no_registry.or(those.no_registry),
        }
    }
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    match &args.action {
        Action::List(args) => list::run(ctx, args),
        Action::Run(args) => run::run(ctx, args),
    }
}

/// The stage of a name.
fn find(name: &str) -> anyhow::Result<&'static dyn FromProduct> {
    if let Some(stage) = FROM_PRODUCTS.iter().find(|stage| stage.about().name == name) {
        return Ok(*stage);
    }
    if OVER_THE_SURVEY.iter().any(|about| about().name == name) {
        let command = if name == "environment" { "web" } else { name };
        let text = format!("{name} looks at the whole survey: see bifrost {command}");
        return Err(Usage(text).into());
    }
    let names = FROM_PRODUCTS.iter().map(|stage| stage.about().name);
    let names: Vec<_> = names.chain([bifrost_stages::store::NAME]).collect();
    let text = match stage::all().iter().any(|about| about.name == name) {
        true => return Err(from_archive(name).into()),
        false => format!("there is no stage '{name}': there are {}", names.join(", ")),
    };
    Err(Usage(text).into())
}

fn from_archive(name: &str) -> Usage {
    Usage(format!("{name} reads the archive's files: see bifrost convert and bifrost run"))
}
