//! `bifrost`: the command line.
//!
//! Arguments come in through [`args`], settings are merged once in [`settings`], each command is
//! one file under [`commands`], data goes to standard output through [`printer`], and every way to
//! end is in [`exit`].

mod args;
mod commands;
mod context;
mod datasheet;
mod exit;
mod printer;
mod progress;
mod rows;
mod settings;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    bifrost_core::guard::keep_quiet();
    let cli = args::Cli::parse();
    let ended = context::Context::new(cli.global).and_then(|ctx| commands::run(&ctx, cli.command));
    exit::code(ended)
}
