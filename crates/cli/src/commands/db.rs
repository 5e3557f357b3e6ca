//! `bifrost db`: the database behind the lake.

use crate::context::Context;
use crate::exit::Exit;
use bifrost_core::registry::LATEST;

/// Arguments of `bifrost db`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make the registry's tables, or bring them up to date
    Migrate,
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    match args.command {
        Command::Migrate => migrate(ctx),
    }
}

fn migrate(ctx: &Context) -> anyhow::Result<Exit> {
    let found = ctx.block_on(ctx.connected()?.migrate())?;
    match found {
        Some(LATEST) => ctx.printer.note(&format!("schema {LATEST}: nothing to do")),
        Some(version) => ctx.printer.note(&format!("schema {version} brought to {LATEST}")),
        None => ctx.printer.note(&format!("schema {LATEST} made")),
    }
    Ok(Exit::Ok)
}
