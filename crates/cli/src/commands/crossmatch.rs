//! `bifrost match`: rows near the positions of somebody's own list.

use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::positions::{self, Names};
use crate::rows::{Format, Target, failed};
use bifrost_core::crossmatch::{List, crossmatch};
use bifrost_core::predicate::Predicate;
use bifrost_core::read::Options;
use bifrost_core::resolution::Query;
use bifrost_core::session::{Error, Session};
use std::path::PathBuf;

/// Columns that a table shows unless others are asked for.
const TABLE_COLUMNS: [&str; 8] =
    ["target_id", "survey", "program", "ra", "dec", "z", "zwarn", "spectype"];

/// Arguments of `bifrost match`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The list: CSV with a head line, Parquet, or FITS (its first table)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    names: Names,
    /// How near is near, arc seconds
    #[arg(long, value_name = "ARCSEC", default_value_t = 1.0)]
    radius: f64,
    /// Only the nearest row of each position, in the list's order
    #[arg(long)]
    nearest: bool,
    /// Condition in SQL that the rows must meet, too
    #[arg(long = "where", value_name = "PREDICATE")]
    condition: Option<String>,
    /// Product [default: spectra]
    #[arg(long, value_name = "P")]
    product: Option<String>,
    /// Columns to deliver after the row of the list and the separation [default: all; a table shows
    /// identity, position and redshift]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Option<Vec<String>>,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let format = args.target.format(ctx)?;
    let positions = positions::read(&args.file, &args.names)?;
    let is_place = |(ra, dec): &&(f64, f64)| ra.is_finite() && (-90.0..=90.0).contains(dec);
    let (rows, places) = (positions.len(), positions.iter().filter(is_place).count());
    if places < rows {
        ctx.printer.note(&format!(
            "{} of the {rows} rows of {} have no position on the sky, and match nothing",
            rows - places,
            args.file.display()
        ));
    }
    let predicate = args.condition.as_deref().map(Predicate::parse).transpose().map_err(usage)?;
    let product = args.product.clone();
    let query = Query { predicate, product, ..Query::default() };
    let shown = || TABLE_COLUMNS.map(String::from).to_vec();
    let columns = match &args.columns {
        None if format == Format::Table && args.product.is_none() => Some(shown()),
        columns => columns.clone(),
    };
    let list = List { positions, radius_arcsec: args.radius, nearest: args.nearest };
    let session = Session::from(ctx.registry_to_read()?);
    let options = Options { columns, ..Options::default() };
    let found = ctx.block_on(crossmatch(&session, &list, &query, &options));
    let found = found.map_err(|error| match error {
        Error::Read(error) => failed(error),
        error if error.is_usage() => usage(error).into(),
        error => error.into(),
    })?;
    let pairs = args.target.write(ctx, &found.schema(), found)?;
    ctx.printer.note(&format!("{pairs} pairs within {} arc seconds", args.radius));
    Ok(if pairs == 0 { Exit::NothingMatched } else { Exit::Ok })
}
