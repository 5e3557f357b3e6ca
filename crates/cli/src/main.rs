//! `bifrost`: the command line.
//!
//! Arguments come in through [`args`], settings are merged once in [`settings`], each command is
//! one file under [`commands`], data goes to standard output through [`printer`], and every way to
//! end is in [`exit`].

mod archive;
mod args;
mod commands;
mod completeness;
mod context;
mod datasheet;
mod exit;
mod follow;
mod history;
mod leases;
mod leftovers;
mod positions;
mod printer;
mod progress;
mod rows;
mod settings;
mod survey;
mod tiles;

use bifrost_core::guard::{guard, keep_quiet};
use std::process::ExitCode;

fn main() -> ExitCode {
    keep_quiet();
    let cli = args::Cli::from_arguments();
    let ended = guard(|| {
        context::Context::new(cli.global, cli.command.is_long())
            .and_then(|ctx| commands::run(&ctx, cli.command))
    });
    exit::code(ended.unwrap_or_else(|panicked| Err(exit::Fault(panicked).into())))
}
