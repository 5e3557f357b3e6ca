//! What is seen of a run: lines, and at a terminal a bar; and what would be made.

use crate::printer::{Printer, size};
use crate::progress;
use bifrost_archive::caller::{Event as Fetching, Tell as TellFetching};
use bifrost_campaign::plan::Plan;
use bifrost_campaign::{Batch, End, Event, Report, Settings, Tell, clock};
use bifrost_core::registry::Registry;
use bifrost_core::registry::campaign::Peer;
use bifrost_core::tile::Pixel;
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;

/// What would be made.
#[derive(Debug, Serialize)]
pub(super) struct Foreseen {
    version: u32,
    dry_run: bool,
    node: String,
    nodes: Vec<String>,
    tiles: usize,
    pixels: usize,
    batches: u64,
    tiles_of_others: i64,
    tiles_waiting: i64,
    tiles_failed: i64,
}

/// `again`: tiles that would be queued again first.
pub(super) async fn foresee(
    registry: &Registry,
    settings: &Settings,
    again: &[i64],
) -> anyhow::Result<Foreseen> {
    let taker = &settings.taker;
    let pending = match again {
        [] => registry.pending_pixels(taker).await?,
        again => registry.pending_if_requeued(taker, again).await?,
    };
    let mut peers = registry.campaign_peers(&taker.release).await?;
    let me =
        Peer { node: taker.node.clone(), weight: settings.weight, takes_all: taker.only.is_none() };
    let mut plan = Plan::new(&me, &peers, &pending);
    if peers.iter().all(|peer| peer.node != me.node) {
        peers.push(me);
    }
    let ready: BTreeMap<Pixel, usize> = plan.mine.iter().copied().collect();
    let (mut tiles, mut pixels, mut batches) = (0, 0, 0);
    while settings.max_batches.is_none_or(|max| batches < max) {
        let batch = plan.next_batch(settings.tiles_per_batch);
        if batch.is_empty() {
            break;
        }
        tiles += batch.iter().filter_map(|pixel| ready.get(pixel)).sum::<usize>();
        pixels += batch.len();
        batches += 1;
    }
    Ok(Foreseen {
        version: 1,
        dry_run: true,
        node: taker.node.clone(),
        nodes: peers.into_iter().map(|peer| peer.node).collect(),
        tiles,
        pixels,
        batches,
        tiles_of_others: plan.others,
        tiles_waiting: plan.waiting,
        tiles_failed: registry.campaign_counts(&taker.release).await?.failed,
    })
}

impl Foreseen {
    pub(super) fn show(&self) -> String {
        format!(
            "{} would make {} tiles of {} pixels in {} batches; {} are other nodes' ({} at work), \
             {} wait for another try, {} failed; nothing was done",
            self.node,
            self.tiles,
            self.pixels,
            self.batches,
            self.tiles_of_others,
            self.nodes.len(),
            self.tiles_waiting,
            self.tiles_failed
        )
    }
}

/// What is seen of a run: lines, and at a terminal a bar.
pub(super) struct Screen {
    pub(super) bar: ProgressBar,
    printer: Printer,
}

impl Screen {
    pub(super) fn new(printer: Printer) -> Self {
        Self { bar: progress::long_bar(&printer, "tiles"), printer }
    }

    pub(super) fn tell(&self) -> Tell {
        let (bar, printer) = (self.bar.clone(), self.printer);
        Arc::new(move |event| match event {
            Event::Began(settled, counts) => {
                bar.set_length((counts.done + counts.left + counts.failed).cast_unsigned());
                bar.set_position((counts.done + counts.failed).cast_unsigned());
                tracing::info!(
                    done = counts.done,
                    left = counts.left,
                    failed = counts.failed,
                    adopted = settled.adopted,
                    withdrawn = settled.withdrawn,
                    set_aside = settled.set_aside,
                    "began"
                );
            }
            Event::Tiles(count) => bar.inc(count as u64),
            Event::Batch(batch) => {
                bar.set_position((batch.tiles_done + batch.tiles_failed).cast_unsigned());
                bar.set_message(message(&batch));
                let printed = bar.suspend(|| printer.line(&*batch, &batch.to_string()));
                if let Err(e) = printed {
                    tracing::info!("{e}");
                }
            }
            Event::Waiting { others, waiting } => {
                bar.set_message(format!(", waiting: {others} of other nodes, {waiting} to retry"));
                tracing::debug!(others, waiting, "waiting");
            }
        })
    }

    pub(super) fn fetching(&self) -> TellFetching {
        let (bar, printer) = (self.bar.clone(), self.printer);
        let note = move |text: String| bar.suspend(|| printer.note(&text));
        let is_watched = std::io::stderr().is_terminal();
        Arc::new(move |event| match event {
            Fetching::NoRoom { folder, free_bytes, need_bytes } => {
                let text = format!(
                    "paused: no room in {}: {} may be used, the next file needs {}",
                    folder.display(),
                    bytes(free_bytes),
                    bytes(need_bytes)
                );
                match is_watched {
                    true => note(text),
                    false => tracing::warn!(free_bytes, need_bytes, "{text}"),
                }
            }
            Fetching::RoomAgain { folder } => {
                let text = format!("there is room again in {}: going on", folder.display());
                match is_watched {
                    true => note(text),
                    false => tracing::info!("{text}"),
                }
            }
            Fetching::Bytes(_) | Fetching::Again { .. } => {}
        })
    }
}

/// What the bar says of the last batch.
fn message(batch: &Batch) -> String {
    let failed = match batch.tiles_failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    let left = batch.eta_s.map(|eta| format!(", {} left", clock(eta))).unwrap_or_default();
    format!("{failed}, {:.1} MB/s{left}", batch.mb_per_s)
}

fn bytes(count: u64) -> String {
    size(i64::try_from(count).unwrap_or(i64::MAX))
}

pub(super) fn summary(report: &Report) -> String {
    let why = match report.end {
        End::Complete if report.tiles.left > 0 => "nothing is left of what was asked for",
        End::Complete => "nothing is left",
        End::Batches => "as many batches as were asked for",
        End::OthersHold => "the rest is other nodes'",
        End::Stopped => "told to stop",
    };
    format!(
        "end: {} batches, {} made, {} failed, {} lost, {} in, {} out, {:.1} s; {} done, {} left, \
         {} failed: {why}",
        report.batches,
        report.made,
        report.failed,
        report.lost,
        bytes(report.bytes_in),
        bytes(report.bytes_out),
        report.seconds,
        report.tiles.done,
        report.tiles.left,
        report.tiles.failed
    )
}
