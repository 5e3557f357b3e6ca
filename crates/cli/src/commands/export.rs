//! `bifrost export`: a part of the lake as a lake of its own.

use super::resolve::Selectors;
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::history::AsOf;
use crate::leftovers::Leftover;
use crate::printer::size;
use crate::progress;
use bifrost_core::read::COLUMNS_ALL;
use bifrost_core::resolution::Query;
use bifrost_core::session::Session;
use bifrost_stages::export::{Error, draft_of, export};
use std::path::PathBuf;

/// Arguments of `bifrost export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selectors: Selectors,
    #[command(flatten)]
    as_of: AsOf,
    /// Columns to keep beside TARGETID and position [default: those of `bifrost read`]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// The folder to make; it appears when it is complete
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let query = Query { as_of: args.as_of.commit(ctx)?, ..args.selectors.query()? };
    let columns = args.columns.clone().filter(|names| names != &[COLUMNS_ALL]);
    let query = Query { columns, ..query };
    let columns = args.columns.as_deref();
    let session = Session::from(ctx.registry()?);
    let bar = progress::bar(&ctx.printer, 0, "files");
    let tell = |done, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let _leftover = draft_of(&args.output).map(|draft| Leftover::new(&draft));
    let made = export(&session, &query, columns, &args.output, tell);
    let made = ctx.block_on(made);
    bar.finish_and_clear();
    match made {
        Err(error @ Error::Empty) => {
            ctx.printer.note(&error.to_string());
            Ok(Exit::NothingMatched)
        }
        Err(error) if error.is_usage() => Err(usage(error).into()),
        made => {
            ctx.printer.data(&made?, |made| {
                let (rows, bytes) = (made.rows, size(made.bytes as i64));
                format!(
                    "{}\n{rows} rows in {} files, {bytes}: {}\n",
                    made.id,
                    made.files,
                    made.folder.display()
                )
            })?;
            Ok(Exit::Ok)
        }
    }
}
