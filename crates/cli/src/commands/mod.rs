//! One file a command.

pub mod backup;
pub mod bench;
pub mod convert;
pub mod crossmatch;
pub mod db;
pub mod diff;
pub mod export;
pub mod failures;
pub mod fetch;
pub mod gc;
pub mod groups;
pub mod inventory;
pub mod log;
pub mod mock;
pub mod nodes;
pub mod read;
pub mod replay;
pub mod resolve;
pub mod run;
pub mod spectrum;
pub mod stage;
pub mod status;
pub mod sync;
pub mod verify;
pub mod view;
pub mod web;

use crate::args::Command;
use crate::context::Context;
use crate::exit::Exit;

pub fn run(ctx: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Mock(args) => mock::run(ctx, &args),
        Command::Db(args) => db::run(ctx, &args),
        Command::Inventory(args) => inventory::run(ctx, &args),
        Command::Fetch(args) => fetch::run(ctx, &args),
        Command::Bench(args) => bench::run(ctx, &args),
        Command::Convert(args) => convert::run(ctx, &args),
        Command::Run(args) => run::run(ctx, &args),
        Command::Stage(args) => stage::run(ctx, &args),
        Command::Groups(args) => groups::run(ctx, &args),
        Command::Web(args) => web::run(ctx, &args),
        Command::Status(args) => status::run(ctx, &args),
        Command::Failures(args) => failures::run(ctx, &args),
        Command::Nodes(args) => nodes::run(ctx, &args),
        Command::Sync(args) => sync::run(ctx, &args),
        Command::Verify(args) => verify::run(ctx, &args),
        Command::Gc(args) => gc::run(ctx, &args),
        Command::View(args) => view::run(ctx, &args),
        Command::Log(args) => log::run(ctx, &args),
        Command::Diff(args) => diff::run(ctx, &args),
        Command::Resolve(args) => resolve::run(ctx, &args),
        Command::Read(args) => read::run(ctx, &args),
        Command::Match(args) => crossmatch::run(ctx, &args),
        Command::Export(args) => export::run(ctx, &args),
        Command::Spectrum(args) => spectrum::run(ctx, &args),
        Command::Replay(args) => replay::run(ctx, &args),
    }
}
