//! `bifrost nodes`: who takes part in the campaign, and what each holds.

use crate::context::Context;
use crate::exit::{Exit, Usage};
use crate::printer;
use bifrost_campaign::share::winner;
use bifrost_core::layout::SPECTRA;
use bifrost_core::registry::campaign::{NodeRow, Peer};
use bifrost_core::sync;
use bifrost_core::tile::{Name, Pixel};
use serde::Serialize;

/// Arguments of `bifrost nodes`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// A node will not come back: its files are missing, and its tiles are queued again
    Forget {
        /// Its name
        node: String,
    },
}

/// Every node.
#[derive(Debug, Serialize)]
struct Nodes {
    version: u32,
    nodes: Vec<Node>,
}

#[derive(Debug, Serialize)]
struct Node {
    #[serde(flatten)]
    row: NodeRow,
    /// Part of the sky's pixels that is this node's, of those at work.
    share: Option<f64>,
}

/// What forgetting a node did.
#[derive(Debug, Serialize)]
struct Forgotten {
    version: u32,
    node: String,
    commits: Vec<i64>,
    files_missing: i64,
    tiles_queued_again: u64,
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    if let Some(Command::Forget { node }) = &args.command {
        return forget(ctx, node);
    }
    let registry = ctx.registry_to_read()?;
    let rows = ctx.ask(|| registry.campaign_nodes())?;
    let nodes = Nodes { version: 1, nodes: with_shares(rows) };
    if nodes.nodes.is_empty() {
        ctx.printer.none(&nodes, "no node has taken part yet: bifrost run")?;
        return Ok(Exit::NothingMatched);
    }
    ctx.printer.data(&nodes, Nodes::show)?;
    Ok(Exit::Ok)
}

fn forget(ctx: &Context, node: &str) -> anyhow::Result<Exit> {
    let registry = ctx.registry()?;
    let product = Name::new(SPECTRA)?;
    let Some((commits, files_missing, tiles_queued_again)) =
        ctx.block_on(sync::forget(&registry, node, &product))?
    else {
        let text = format!("node {node} is at work, or never took part: bifrost nodes lists them");
        return Err(Usage(text).into());
    };
    let node = node.to_owned();
    let forgotten = Forgotten { version: 1, node, commits, files_missing, tiles_queued_again };
    ctx.printer.data(&forgotten, |f| {
        let commits: Vec<_> = f.commits.iter().map(ToString::to_string).collect();
        let commits = if commits.is_empty() { "none".to_owned() } else { commits.join(", ") };
        format!(
            "{} is forgotten: {} files missing (commit {commits}), {} tiles queued again",
            f.node, f.files_missing, f.tiles_queued_again
        )
    })?;
    Ok(Exit::Ok)
}

/// Counts the pixels that each node at work wins.
fn with_shares(rows: Vec<NodeRow>) -> Vec<Node> {
    let at_work = |row: &&NodeRow| row.state == "running" && row.takes_all;
    let share = |row: &NodeRow| {
        let peer =
            |r: &NodeRow| Peer { node: r.node.clone(), weight: r.weight, takes_all: r.takes_all };
        let rivals: Vec<Peer> =
            rows.iter().filter(at_work).filter(|r| r.release == row.release).map(peer).collect();
        let pixels = (0..i64::from(Pixel::COUNT)).filter_map(|p| Pixel::new(p).ok());
        let won = pixels.filter(|p| winner(&rivals, *p).is_some_and(|w| w.node == row.node));
        at_work(&row).then(|| won.count() as f64 / f64::from(Pixel::COUNT))
    };
    let shares: Vec<_> = rows.iter().map(share).collect();
    rows.into_iter().zip(shares).map(|(row, share)| Node { row, share }).collect()
}

impl Nodes {
    fn show(&self) -> String {
        let head = [
            "node", "state", "release", "share", "silent s", "leases", "files", "size", "free",
            "disk",
        ];
        let mut table = printer::table(&head, &[3, 4, 5, 6, 7, 8, 9]);
        for Node { row, share } in &self.nodes {
            table.add_row([
                row.node.clone(),
                row.state.clone(),
                row.release.clone(),
                share.map_or(String::new(), |share| format!("{:.1} %", 100.0 * share)),
                format!("{:.0}", row.silent_s),
                row.pixels_leased.to_string(),
                row.files.to_string(),
                printer::size(row.size_bytes),
                printer::size(row.free_bytes),
                printer::size(row.disk_bytes),
            ]);
        }
        table.to_string()
    }
}
