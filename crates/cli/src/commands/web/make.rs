//! Webs as wholes, or in blocks that processes share.

use super::Options;
use super::shares::{self, Shares, Told, Watched};
use crate::archive;
use crate::commands::run::stop_on_signals;
use crate::context::Context;
use crate::exit::{TryAgain, usage};
use crate::leases::Leases;
use crate::progress;
use crate::survey::Whole;
use bifrost_campaign::Stop;
use bifrost_core::layout::Lake;
use bifrost_core::patience::{OF_A_COMMAND, patiently};
use bifrost_core::publish::Running;
use bifrost_science::fof::Components;
use bifrost_science::web::least_bytes;
use bifrost_science::work::{Failure, Memory};
use bifrost_stages::groups;
use bifrost_stages::survey::Randoms;
use bifrost_stages::survey::shared::{self, Kept, Shared, digest};
use bifrost_stages::web::{self, Blocks, Settings, Survey, Web};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// Bytes of memory that do not depend on galaxies, and those of each galaxy of all samples: what is read and
/// what is found of it.
const OF_THE_PROCESS: u64 = 64 << 20;
const OF_A_GALAXY: u64 = 100;
/// Bytes in which blocks travel to a URL and back.
const OF_A_URL: u64 = 64 << 20;
/// How often a process looks whether another has ended.
const LOOK: Duration = Duration::from_millis(100);
/// How often an output may be lost until it is given up.
const LOSSES: u32 = 3;

/// What webs are made with.
pub(super) struct Maker<'a> {
    pub(super) ctx: &'a Context,
    pub(super) whole: &'a Whole,
    pub(super) options: &'a Options,
    pub(super) settings: &'a Settings,
    pub(super) randoms: Option<&'a Randoms>,
    /// Of each sample, where the product has them.
    pub(super) groups: Option<&'a [Components]>,
}

impl Maker<'_> {
    /// The web of each sample, and what was kept of their blocks. `configuration` is all that shapes them.
    pub(super) fn make(&self, configuration: &Value) -> anyhow::Result<(Vec<Web>, Vec<Kept>)> {
        let pieces = &self.whole.pieces;
        let all = pieces.iter().map(|piece| piece.sample.len()).sum();
        let shares = Shares { of_a_galaxy: shares::of_a_galaxy(self.settings.realisations), all };
        let bar = progress::shares(&self.ctx.printer, shares.total());
        let (mut webs, mut kept, mut before) = (Vec::new(), Vec::new(), 0);
        for (number, piece) in pieces.iter().enumerate() {
            let known = self.groups.and_then(|known| known.get(number));
            let survey = Survey {
                sample: &piece.sample,
                mask: &piece.mask,
                randoms: self.randoms,
                groups: known,
            };
            let told = |step: &str, done: usize, parts: usize| {
                let parts_told = match parts {
                    0 | 1 => String::new(),
                    _ => format!(", {done} of {parts}"),
                };
                bar.set_message(format!("{} {}: {step}{parts_told}", piece.tracer, piece.cap));
                bar.set_position(shares.done(before, piece.sample.len(), step, done, parts));
            };
            let count = self.blocks(piece.sample.len(), all)?;
            webs.push(match count {
                None => {
                    let work = Watched { work: Memory::default(), told: &told };
                    self.find(survey, Blocks { count: 1, work: &work }, &told)?
                }
                Some(count) => {
                    let version = env!("CARGO_PKG_VERSION");
                    let shaped = json!([version, configuration, piece.tracer, piece.cap, count]);
                    let (web, own) = self.share(survey, &digest(&shaped), count, &told)?;
                    kept.push(own);
                    web
                }
            });
            before += piece.sample.len();
        }
        bar.finish_and_clear();
        Ok((webs, kept))
    }

    fn share(
        &self,
        survey: Survey<'_>,
        digest: &str,
        count: usize,
        told: Told<'_>,
    ) -> anyhow::Result<(Web, Kept)> {
        let node = self.ctx.node(&self.whole.lake);
        let leases = Leases::new(self.ctx, &self.whole.registry, node, digest.to_owned(), told)?;
        let own = self.whole.lake.root().join(".bifrost").join("web");
        let place = self.options.place(&own)?;
        if place.remote.is_some() {
            leases.announce()?;
        }
        let work = Shared::open(place, digest, &leases)?;
        let mut lost = HashMap::new();
        loop {
            let error = match self.find(survey, Blocks { count, work: &work }, told) {
                Ok(web) => return Ok((web, work.kept())),
                Err(error) => error,
            };
            let cause = error.chain().find_map(|cause| cause.downcast_ref());
            let Some(shared::Error::Lost { name, .. }) = cause else { return Err(error) };
            let times = lost.entry(name.clone()).or_insert(0);
            *times += 1;
            if *times > LOSSES {
                return Err(error);
            }
            tracing::warn!("{error}: it is made again");
        }
    }

    fn find(&self, survey: Survey<'_>, blocks: Blocks<'_>, told: Told<'_>) -> anyhow::Result<Web> {
        web::find(survey, &self.whole.cosmology, self.settings, blocks, &|step| told(step, 0, 1))
            .map_err(refused)
    }

    /// What was kept of blocks is needed no more.
    pub(super) fn finish(&self, kept: Kept) -> anyhow::Result<()> {
        let is_needed = kept.is_remote() && self.is_worked_on(kept.digest())?;
        Ok(kept.finish(is_needed)?)
    }

    /// Whether any other process is at work: one that is renews its leases, those of a dead one lapse.
    fn is_worked_on(&self, digest: &str) -> anyhow::Result<bool> {
        let ask = || self.whole.registry.parts_held_until(digest);
        let held_until = || self.ctx.block_on(patiently(OF_A_COMMAND, ask));
        let first = held_until()?;
        loop {
            match held_until()? {
                None => return Ok(false),
                later if later > first => return Ok(true),
                _ => std::thread::sleep(LOOK),
            }
        }
    }

    /// In how many blocks a sample is made, of several that have so many galaxies in all; none, if it is
    /// made as a whole, in memory.
    fn blocks(&self, galaxies: usize, all: usize) -> anyhow::Result<Option<usize>> {
        if let Some(blocks) = self.options.blocks {
            return Ok(Some(blocks.get()));
        }
        let Some(memory) = &self.options.memory else { return Ok(None) };
        let bytes = archive::parse_size(memory).map_err(|e| usage(format!("--memory: {e}")))?;
        let of_a_url = if self.options.url().is_some() { OF_A_URL } else { 0 };
        let besides = OF_THE_PROCESS + of_a_url + OF_A_GALAXY * all as u64;
        let blocks = bifrost_science::web::blocks(galaxies, bytes.saturating_sub(besides));
        let refused = || {
            let least = (besides + least_bytes(galaxies)).div_ceil(1 << 20);
            usage(format!(
                "--memory {memory} is too little for {all} galaxies, whatever the blocks: give {least}MiB or more"
            ))
        };
        Ok(Some(blocks.ok_or_else(refused)?))
    }
}

/// Waits until no other web is written in the lake.
pub(super) fn alone(ctx: &Context, lake: &Lake) -> anyhow::Result<Running> {
    let stop = ctx.block_on(async { stop_on_signals() })?;
    loop {
        if let Some(running) = Running::begin(lake, "web")? {
            return Ok(running);
        }
        if *stop.borrow() > Stop::Not {
            return Err(TryAgain("another process writes a web in this lake".to_owned()).into());
        }
        std::thread::sleep(LOOK);
    }
}

/// Random points that are too few are the question's fault; others' faults are told by their causes.
fn refused(error: web::Error) -> anyhow::Error {
    match error {
        web::Error::Randoms(error) => usage(error).into(),
        web::Error::Groups(groups::Error::Density(error)) => usage(error).into(),
        web::Error::Web(bifrost_science::web::Error::Work(failure)) => Failed(failure).into(),
        error => error.into(),
    }
}

/// A part of the work, or what keeps it, failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(#[source] Failure);
