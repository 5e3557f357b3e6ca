//! `bifrost convert`.

use crate::context::Context;
use crate::exit::Exit;

/// Arguments of `bifrost convert`.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_ctx: &Context, _args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not written yet")
}
