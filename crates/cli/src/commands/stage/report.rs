//! What is told of a stage's run: its plan, or what it did.

use crate::printer::table;
use bifrost_core::outcome::Outcome;
use bifrost_core::tile::Tile;
use bifrost_stages::derive::{self, Ending, Job};
use bifrost_stages::stage::About;
use serde::Serialize;
use std::collections::BTreeMap;

/// What would be made.
#[derive(Debug, Serialize)]
pub(super) struct Foreseen {
    version: u32,
    dry_run: bool,
    stage: &'static str,
    tiles: Vec<Planned>,
    up_to_date: usize,
    orphaned: usize,
}

#[derive(Debug, Serialize)]
struct Planned {
    tile: Tile,
    why: String,
}

impl Foreseen {
    pub(super) fn new(about: &About, plan: &super::run::Plan) -> Self {
        let planned = |job: &Job| Planned {
            tile: job.tile.clone(),
            why: job.stale.clone().unwrap_or_else(|| plan.why.to_owned()),
        };
        Self {
            version: 1,
            dry_run: true,
            stage: about.name,
            tiles: plan.jobs.iter().map(planned).collect(),
            up_to_date: plan.up_to_date,
            orphaned: plan.orphaned,
        }
    }

    pub(super) fn show(&self) -> String {
        let mut rows = table(&["tile", "why"], &[]);
        for planned in &self.tiles {
            rows.add_row([planned.tile.to_string(), planned.why.clone()]);
        }
        let (tiles, up_to_date) = (self.tiles.len(), self.up_to_date);
        format!("{rows}\n{tiles} tiles, {up_to_date} more are up to date; nothing was written")
    }
}

/// What was done.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: u32,
    stage: &'static str,
    stage_version: u32,
    product: &'static str,
    totals: BTreeMap<Outcome, usize>,
    up_to_date: usize,
    orphaned: usize,
    pub(super) left: usize,
    rows: u64,
    bytes_in: u64,
    bytes_out: u64,
    seconds: f64,
    tiles: Vec<Ending>,
}

impl Report {
    pub(super) fn new(
        about: &About,
        plan: &super::run::Plan,
        run: derive::Report,
        seconds: f64,
    ) -> Self {
        let mut totals = BTreeMap::new();
        for outcome in run.tiles.iter().filter_map(|tile| tile.outcome) {
            *totals.entry(outcome).or_default() += 1;
        }
        let made = || {
            let is_made = |o| matches!(o, Outcome::Converted | Outcome::Empty);
            run.tiles.iter().filter(move |tile| tile.outcome.is_some_and(is_made))
        };
        Self {
            version: 1,
            stage: about.name,
            stage_version: about.version,
            product: about.product,
            up_to_date: plan.up_to_date + totals.get(&Outcome::Unchanged).copied().unwrap_or(0),
            totals,
            orphaned: plan.orphaned,
            left: run.left,
            rows: made().filter_map(|tile| tile.rows).sum(),
            bytes_in: made().map(|tile| tile.bytes_in).sum(),
            bytes_out: made().filter_map(|tile| tile.bytes_out).sum(),
            seconds,
            tiles: run.tiles,
        }
    }

    pub(super) fn has_quarantined(&self) -> bool {
        self.totals.keys().any(|outcome| outcome.is_quarantined())
    }

    pub(crate) fn show(&self) -> String {
        let head = ["tile", "outcome", "rows", "MB in", "MB out", "s", "reason"];
        let mut rows = table(&head, &[2, 3, 4, 5]);
        for ending in self.tiles.iter().filter(|t| t.outcome != Some(Outcome::Unchanged)) {
            let mut reason = ending.reasons.join("; ");
            if let Some(advice) = &ending.advice {
                reason = format!("{reason} → {advice}");
            } else if let (true, Some(stale)) = (reason.is_empty(), &ending.stale) {
                reason.clone_from(stale);
            }
            rows.add_row([
                ending.tile.to_string(),
                ending.outcome.map_or_else(|| "left".to_owned(), |o| o.to_string()),
                ending.rows.map(|n| n.to_string()).unwrap_or_default(),
                megabytes(ending.bytes_in),
                ending.bytes_out.map(megabytes).unwrap_or_default(),
                format!("{:.2}", ending.seconds),
                reason,
            ]);
        }
        let others = [(self.left, "left"), (self.orphaned, "without their input")];
        let summary = format!(
            "{}: {}: {} rows, {} MB in, {} MB out, {:.2} s",
            self.stage,
            told(&self.totals, self.up_to_date, &others),
            self.rows,
            megabytes(self.bytes_in),
            megabytes(self.bytes_out),
            self.seconds
        );
        if rows.is_empty() { summary } else { format!("{rows}\n{summary}") }
    }
}

/// How many ended how, in words.
pub(super) fn told(
    totals: &BTreeMap<Outcome, usize>,
    up_to_date: usize,
    others: &[(usize, &str)],
) -> String {
    let new = totals.iter().filter(|(outcome, _)| **outcome != Outcome::Unchanged);
    let mut told: Vec<_> = new.map(|(outcome, count)| format!("{count} {outcome}")).collect();
    told.push(format!("{up_to_date} up to date"));
    let some = others.iter().filter(|(count, _)| *count > 0);
    told.extend(some.map(|(count, what)| format!("{count} {what}")));
    told.join(", ")
}

pub(super) fn megabytes(size_bytes: u64) -> String {
    format!("{:.1}", size_bytes as f64 / 1e6)
}
