//! `bifrost status`: how registry and campaign stand, in one screen.

use crate::context::Context;
use crate::exit::Exit;
use crate::history::AsOf;
use crate::{archive, printer};
use bifrost_campaign::clock;
use bifrost_core::registry::Held;
use bifrost_core::registry::campaign::{Counts, NodeRow, Rate};
use bifrost_core::registry::status::{Product, Standing};
use serde::Serialize;
use std::fmt::Write;

/// "Of late": so many seconds.
const LATE_S: f64 = 3600.0;

/// Arguments of `bifrost status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print Prometheus' text format
    #[arg(long, conflicts_with = "as_of")]
    metrics: bool,
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    archive: archive::Options,
}

/// What the registry held as of a commit.
#[derive(Debug, Serialize)]
struct Then {
    version: u32,
    commit: i64,
    held: Vec<Held>,
}

/// How registry and campaign stand. Rates are of the last hour, or since the first of its tries began.
#[derive(Debug, Serialize)]
struct Status {
    version: u32,
    registry: Standing,
    release: String,
    tiles: Counts,
    under_way: i64,
    mb_per_s: f64,
    tiles_per_hour: f64,
    eta_s: Option<f64>,
    nodes: Vec<Node>,
}

#[derive(Debug, Serialize)]
struct Node {
    state: String,
    silent_s: Option<f64>,
    free_bytes: Option<i64>,
    mb_per_s: f64,
    tiles_per_hour: f64,
    #[serde(flatten)]
    rate: Rate,
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    if let Some(commit) = args.as_of.commit(ctx)? {
        return then(ctx, commit);
    }
    let release = args.archive.clone().or(&ctx.settings.archive).production()?.release().clone();
    let registry = ctx.registry_to_read()?;
    // one after the other: a second connection costs more than these take
    let standing = ctx.ask(|| registry.standing())?;
    let tiles = ctx.ask(|| registry.campaign_counts(&release))?;
    let rates = ctx.ask(|| registry.campaign_rates(&release, LATE_S))?;
    let nodes = ctx.ask(|| registry.campaign_nodes())?;
    let status = Status::new(standing, release.to_string(), tiles, rates, &nodes);
    if args.metrics {
        let text = status.metrics();
        ctx.printer.data(&text, String::clone)?;
    } else {
        ctx.printer.data(&status, Status::show)?;
    }
    let is_empty = status.registry.commit.is_none() && !status.has_campaign();
    Ok(if is_empty { Exit::NothingMatched } else { Exit::Ok })
}

/// The ledger of the campaign only knows now; the registry knows what there was.
fn then(ctx: &Context, commit: i64) -> anyhow::Result<Exit> {
    let registry = ctx.registry_to_read()?;
    let held = ctx.ask(|| registry.held(commit))?;
    let then = Then { version: 1, commit, held };
    ctx.printer.data(&then, |then| {
        let mut table = printer::table(&["product", "node", "files", "rows", "size"], &[2, 3, 4]);
        for held in &then.held {
            table.add_row([
                held.product.clone(),
                held.node.clone(),
                held.files.to_string(),
                held.rows.to_string(),
                printer::size(held.size_bytes),
            ]);
        }
        format!("as of commit {commit}\n{table}")
    })?;
    Ok(if then.held.is_empty() { Exit::NothingMatched } else { Exit::Ok })
}

impl Status {
    fn new(
        registry: Standing,
        release: String,
        tiles: Counts,
        rates: Vec<Rate>,
        nodes: &[NodeRow],
    ) -> Self {
        let node = |rate: Rate| {
            let row = nodes.iter().find(|row| row.node == rate.node);
            let late_s = rate.late_s.filter(|s| *s > 0.0);
            let per_s = |count: f64| late_s.map_or(0.0, |s| count / s);
            Node {
                state: row.map_or("left".to_owned(), |row| row.state.clone()),
                silent_s: row.map(|row| row.silent_s),
                free_bytes: row.map(|row| row.free_bytes),
                mb_per_s: per_s(rate.late_bytes as f64 / 1e6),
                tiles_per_hour: per_s(rate.late_tiles as f64 * 3600.0),
                rate,
            }
        };
        let nodes: Vec<Node> = rates.into_iter().map(node).collect();
        // an empty sum of floats is -0
        let sum = |of: fn(&Node) -> f64| nodes.iter().map(of).fold(0.0, std::ops::Add::add);
        let tiles_per_hour = sum(|node| node.tiles_per_hour);
        Self {
            version: 1,
            registry,
            release,
            under_way: nodes.iter().map(|node| node.rate.under_way).sum(),
            mb_per_s: sum(|node| node.mb_per_s),
            tiles_per_hour,
            eta_s: (tiles_per_hour > 0.0).then(|| tiles.left as f64 * 3600.0 / tiles_per_hour),
            tiles,
            nodes,
        }
    }

    fn has_campaign(&self) -> bool {
        self.tiles.done + self.tiles.left + self.tiles.failed > 0
    }

    fn show(&self) -> String {
        let registry = show_registry(&self.registry);
        if self.has_campaign() {
            format!("{registry}\n\n{}", self.show_campaign())
        } else {
            registry
        }
    }

    fn show_campaign(&self) -> String {
        let tiles = &self.tiles;
        let mut lines = vec![format!(
            "{}: {} done, {} left ({} under way, {} to be tried again), {} failed, {} absent",
            self.release,
            tiles.done,
            tiles.left,
            self.under_way,
            tiles.to_retry,
            tiles.failed,
            tiles.absent
        )];
        if !tiles.failed_by.is_empty() {
            let by: Vec<_> = tiles.failed_by.iter().map(|(o, n)| format!("{n} {o}")).collect();
            lines.push(format!("failed: {}", by.join(", ")));
        }
        let eta = self.eta_s.map_or("unknown".to_owned(), clock);
        lines.push(format!(
            "{:.1} MB/s, {:.0} tiles an hour, ETA {eta}",
            self.mb_per_s, self.tiles_per_hour
        ));
        if !self.nodes.is_empty() {
            let head =
                ["node", "state", "made", "failed", "under way", "in", "out", "MB/s", "tiles/h"];
            let mut table = printer::table(&head, &[2, 3, 4, 5, 6, 7, 8]);
            for node in &self.nodes {
                table.add_row([
                    node.rate.node.clone(),
                    node.state.clone(),
                    node.rate.made.to_string(),
                    node.rate.failed.to_string(),
                    node.rate.under_way.to_string(),
                    printer::size(node.rate.bytes_in),
                    printer::size(node.rate.bytes_out),
                    format!("{:.1}", node.mb_per_s),
                    format!("{:.0}", node.tiles_per_hour),
                ]);
            }
            lines.push(table.to_string());
        }
        lines.join("\n")
    }

    /// Prometheus' text format, version 0.0.4.
    fn metrics(&self) -> String {
        let mut text = Metrics::default();
        let release = [("release", self.release.as_str())];
        text.head("bifrost_tiles", "gauge", "Tiles of the campaign by state.");
        let t = &self.tiles;
        for (state, count) in
            [("done", t.done), ("queued", t.left), ("failed", t.failed), ("absent", t.absent)]
        {
            text.value("bifrost_tiles", &[release[0], ("state", state)], count as f64);
        }
        text.head("bifrost_tiles_failed", "gauge", "Tiles that were given up, by outcome.");
        for (outcome, count) in &t.failed_by {
            text.value("bifrost_tiles_failed", &[release[0], ("outcome", outcome)], *count as f64);
        }
        text.head("bifrost_tiles_to_retry", "gauge", "Tiles that will be tried again.");
        text.value("bifrost_tiles_to_retry", &release, t.to_retry as f64);
        self.registry_metrics(&mut text);
        type Value = fn(&Node) -> Option<f64>;
        let families: [(&str, &str, &str, Value); 7] = [
            ("bifrost_node_tiles_made_total", "counter", "Tries that made a tile.", |n| {
                Some(n.rate.made as f64)
            }),
            ("bifrost_node_tries_failed_total", "counter", "Tries that failed.", |n| {
                Some(n.rate.failed as f64)
            }),
            ("bifrost_node_bytes_in_total", "counter", "Bytes of the archive's files.", |n| {
                Some(n.rate.bytes_in as f64)
            }),
            ("bifrost_node_bytes_out_total", "counter", "Bytes of files made.", |n| {
                Some(n.rate.bytes_out as f64)
            }),
            ("bifrost_node_tiles_under_way", "gauge", "Tiles under way.", |n| {
                Some(n.rate.under_way as f64)
            }),
            ("bifrost_node_silent_seconds", "gauge", "Time since it was heard of.", |n| n.silent_s),
            ("bifrost_node_free_bytes", "gauge", "Free space on the lake's disk.", |n| {
                n.free_bytes.map(|bytes| bytes as f64)
            }),
        ];
        for (name, kind, help, of) in families {
            text.head(name, kind, help);
            for node in &self.nodes {
                if let Some(value) = of(node) {
                    text.value(name, &[release[0], ("node", &node.rate.node)], value);
                }
            }
        }
        text.0
    }
}

impl Status {
    fn registry_metrics(&self, text: &mut Metrics) {
        if let Some(latest) = &self.registry.commit {
            text.head("bifrost_last_commit", "gauge", "Number of the latest commit.");
            text.value("bifrost_last_commit", &[], latest.commit as f64);
        }
        type Value = fn(&Product) -> i64;
        let families: [(&str, &str, Value); 5] = [
            ("bifrost_files", "Files that may be read.", |p| p.files),
            ("bifrost_rows", "Rows in them.", |p| p.rows),
            ("bifrost_files_quarantined", "Files that cannot be read.", |p| p.quarantined),
            ("bifrost_files_missing", "Files that are gone.", |p| p.missing),
            ("bifrost_files_drifted", "Files of another schema than most of their product.", |p| {
                p.drifted
            }),
        ];
        for (name, help, of) in families {
            text.head(name, "gauge", help);
            for product in &self.registry.products {
                let labels = [("product", &*product.product), ("node", &*product.node)];
                text.value(name, &labels, of(product) as f64);
            }
        }
        text.head("bifrost_files_twice", "gauge", "Files that share their tile with another.");
        text.value("bifrost_files_twice", &[], self.registry.files_twice as f64);
        let name = "bifrost_node_sync_age_seconds";
        text.head(name, "gauge", "Time since the node's last sync.");
        for node in &self.registry.nodes {
            text.value(name, &[("node", &node.node)], node.silent_s);
        }
    }
}

fn show_registry(registry: &Standing) -> String {
    let Some(latest) = &registry.commit else { return "the registry is empty".to_owned() };
    let head = ["node", "last sync", "last commit"];
    let mut nodes = printer::table(&head, &[1, 2]);
    for node in &registry.nodes {
        let commit = node.last_commit.map_or_else(String::new, |commit| commit.to_string());
        nodes.add_row([node.node.clone(), ago(node.silent_s), commit]);
    }
    let head = [
        "product",
        "node",
        "files",
        "rows",
        "size",
        "quarantined",
        "missing",
        "schemas",
        "drifted",
    ];
    let mut products = printer::table(&head, &[2, 3, 4, 5, 6, 7, 8]);
    for product in &registry.products {
        products.add_row([
            product.product.clone(),
            product.node.clone(),
            product.files.to_string(),
            product.rows.to_string(),
            printer::size(product.size_bytes),
            product.quarantined.to_string(),
            product.missing.to_string(),
            product.schemas.to_string(),
            product.drifted.to_string(),
        ]);
    }
    let at = latest.at.format("%Y-%m-%d %H:%M:%S");
    format!("commit {} of {at} UTC\n{nodes}\n\n{products}{}", latest.commit, show_twice(registry))
}

/// Files that share their tile, if there are any.
fn show_twice(registry: &Standing) -> String {
    if registry.twice.is_empty() {
        return String::new();
    }
    let mut lines = vec![format!(
        "\n\n{} files share their tile with another, whose rows are in answers twice: take one of each out of its lake",
        registry.files_twice
    )];
    let named = registry.twice.iter().map(|twice| format!("{}: {}", twice.tile, twice.file));
    lines.extend(named);
    if registry.files_twice > registry.twice.len() as i64 {
        lines.push("…".to_owned());
    }
    lines.join("\n")
}

/// How long ago something was, in one unit.
fn ago(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s ago"),
        s if s < 7200.0 => format!("{:.0} min ago", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h ago", s / 3600.0),
        s => format!("{:.0} days ago", s / 86_400.0),
    }
}

#[derive(Debug, Default)]
struct Metrics(String);

impl Metrics {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // writing to a string cannot fail
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let escape =
            |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let _ = writeln!(self.0, "{name}{{{}}} {value}", labels.join(","));
    }
}
