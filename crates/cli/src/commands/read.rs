//! `bifrost read`: the rows that answer a question.

use super::replay;
use super::resolve::{Selectors, resolve};
use crate::context::Context;
use crate::exit::Exit;
use crate::history::AsOf;
use crate::rows::{Format, Target, failed};
use bifrost_core::predicate::column;
use bifrost_core::read::{self, COLUMNS_ALL, Options};
use bifrost_core::resolution::{Detail, Query, Resolution};
use bifrost_core::snapshot::{self, Saved};
use std::path::PathBuf;

/// Columns that a table shows unless others are asked for.
const TABLE_COLUMNS: [&str; 11] = [
    "target_id",
    "release",
    "survey",
    "program",
    "healpix",
    "ra",
    "dec",
    "z",
    "zwarn",
    "spectype",
    "deltachi2",
];

/// Arguments of `bifrost read`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selectors: Selectors,
    #[command(flatten)]
    as_of: AsOf,
    /// Read what a snapshot names, of its own question
    #[arg(long, value_name = "FILE", group = "question", conflicts_with_all = ["predicate", "cone", "polygon", "rectangle", "moc", "target_id", "target_ids", "sql", "product", "as_of"])]
    snapshot: Option<PathBuf>,
    /// Columns to deliver, in this order [default: all of the product, and those that the question names
    /// of other products; a table shows identity, position and redshift; '*': all of all products of
    /// the question]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// Rows to deliver at most
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let format = args.target.format(ctx)?;
    let (query, answer) = asked(ctx, args)?;
    let options =
        Options { columns: args.columns.clone(), limit: args.limit, ..Options::default() };
    let mut reading = read::read(&answer, &query, &options).map_err(failed)?;
    if format == Format::Table && args.columns.is_none() {
        let shown = shown(&query, &reading);
        reading = read::read(&answer, &query, &Options { columns: Some(shown), ..options })
            .map_err(failed)?;
    }
    let rows = args.target.write(ctx, &reading.schema(), reading)?;
    ctx.printer.note(&format!("{rows} rows; {} files were read", answer.files.len()));
    Ok(if rows == 0 { Exit::NothingMatched } else { Exit::Ok })
}

/// The question and where its answer lies.
fn asked(ctx: &Context, args: &Args) -> anyhow::Result<(Query, Resolution)> {
    if let Some(path) = &args.snapshot {
        let saved = Saved::read(path).map_err(replay::failed)?;
        let registry = ctx.registry_to_read()?;
        return ctx.block_on(snapshot::answer(&registry, &saved)).map_err(replay::failed);
    }
    let columns = args.columns.clone().filter(|names| names != &[COLUMNS_ALL]);
    let query = Query { as_of: args.as_of.commit(ctx)?, columns, ..args.selectors.query()? };
    let answer = resolve(ctx, &query, Detail::Files)?;
    Ok((query, answer))
}

/// What a table shows by itself: the columns of the question and those that people look for, or
/// everything where none of them is there.
fn shown(query: &Query, reading: &read::Reading) -> Vec<String> {
    let schema = reading.schema();
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    let condition = query.condition();
    let mut shown: Vec<String> = Vec::new();
    for name in TABLE_COLUMNS.into_iter().chain(condition.columns()) {
        if let Some(found) = column::find(names(), name).and_then(|i| names().nth(i))
            && !shown.iter().any(|known| known == found)
        {
            shown.push(found.to_owned());
        }
    }
    if shown.is_empty() { vec![COLUMNS_ALL.to_owned()] } else { shown }
}
