//! `bifrost view`: the HATS catalogs of several lakes as one, by links.

use crate::commands::sync::Bars;
use crate::context::Context;
use crate::exit::{Exit, Usage};
use crate::printer;
use bifrost_core::hats::Extras;
use bifrost_core::hats::view::{self, Refused, Report};
use bifrost_core::layout::Lake;
use bifrost_core::sync::Step;
use std::path::PathBuf;

/// Arguments of `bifrost view`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the view; made if it is not there, brought up to date if it is one
    dir: PathBuf,
    /// Lakes that it shows [default: all that the registry knows and that can be reached from here]
    #[arg(value_name = "LAKE")]
    lakes: Vec<PathBuf>,
    /// Make an index of TARGETIDs beside each catalog, in a collection of both, for LSDB's id_search; kept up
    /// to date from then on
    #[arg(long)]
    index: bool,
    /// Make a margin cache beside each catalog, likewise: rows so near to the edges of pixels (arc seconds) that
    /// LSDB's crossmatch within that radius needs them beyond
    #[arg(long, value_name = "ARCSEC", value_parser = arcsec)]
    margin: Option<f64>,
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let (lakes, away) = if args.lakes.is_empty() {
        let registry = ctx.registry_to_read()?;
        ctx.ask(|| view::reachable(&registry))?
    } else {
        let open = |folder: &PathBuf| Lake::open(folder);
        (args.lakes.iter().map(open).collect::<Result<_, _>>()?, Vec::new())
    };
    let bars = Bars::new(ctx.printer);
    let tell = bars.progress();
    let progress = |done, total| tell(Step::Files { done, total });
    let extras = Extras { index: args.index, margin_arcsec: args.margin };
    let mut report =
        view::make(&args.dir, &lakes, extras, &progress).map_err(|refused| match refused {
            Refused::InUse(_) | Refused::IsLake(_) | Refused::InLake { .. } => {
                anyhow::Error::from(Usage(refused.to_string()))
            }
            Refused::Hats(error) => error.into(),
        })?;
    bars.clear();
    report.missing.splice(0..0, away);
    ctx.printer.data(&report, show)?;
    Ok(match (report.products.is_empty(), report.missing.is_empty()) {
        (_, false) => Exit::Quarantined,
        (true, true) => Exit::NothingMatched,
        (false, true) => Exit::Ok,
    })
}

fn arcsec(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    let is_some = number.is_finite() && number > 0.0;
    is_some.then_some(number).ok_or_else(|| "arc seconds, more than none".to_owned())
}

fn show(report: &Report) -> String {
    let head = [
        "product",
        "lakes",
        "pixels",
        "rows",
        "size",
        "links made",
        "links removed",
        "ids",
        "near edges",
    ];
    let mut table = printer::table(&head, &[1, 2, 3, 4, 5, 6, 7, 8]);
    for merged in &report.products {
        table.add_row([
            merged.product.clone(),
            merged.lakes.to_string(),
            merged.pixels.to_string(),
            merged.rows.to_string(),
            printer::size(i64::try_from(merged.size_bytes).unwrap_or(i64::MAX)),
            merged.links_made.to_string(),
            merged.links_removed.to_string(),
            merged.index_rows.map(|rows| rows.to_string()).unwrap_or_default(),
            merged.margin_rows.map(|rows| rows.to_string()).unwrap_or_default(),
        ]);
    }
    let mut lines = vec![table.to_string()];
    lines.extend(report.missing.iter().map(|what| format!("missing: {what}")));
    lines.join("\n")
}
