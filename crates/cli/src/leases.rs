//! Parts of a computation that several processes share, leased in the registry.

use crate::commands::run::stop_on_signals;
use crate::context::Context;
use crate::exit::TryAgain;
use bifrost_campaign::Stop;
use bifrost_core::registry::parts::{Holder, Part};
use bifrost_core::registry::{self, Registry};
use bifrost_science::work::Failure;
use bifrost_stages::survey::shared::Claims;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A part of a process that is gone is free after so many seconds.
const LEASE_S: f64 = 15.0;
/// How often leases are renewed in that time.
const BEATS: f64 = 5.0;

/// The leases of this process, for one computation.
pub struct Leases<'a> {
    ctx: &'a Context,
    registry: Registry,
    holder: Holder,
    work: String,
    stop: watch::Receiver<Stop>,
    heart: JoinHandle<()>,
    told: &'a (dyn Fn(&str, usize, usize) + Sync),
}

impl<'a> Leases<'a> {
    /// For the computation of a digest; `told` hears how many parts of a step are there.
    pub fn new(
        ctx: &'a Context,
        registry: &Registry,
        node: String,
        work: String,
        told: &'a (dyn Fn(&str, usize, usize) + Sync),
    ) -> anyhow::Result<Self> {
        let holder = Holder { node, run_id: Uuid::new_v4(), lease_s: LEASE_S };
        let (stop, heart) = ctx.block_on(async {
            let stop = stop_on_signals()?;
            let heart = tokio::spawn(beat(registry.clone(), holder.run_id));
            anyhow::Ok((stop, heart))
        })?;
        Ok(Self { ctx, registry: registry.clone(), holder, work, stop, heart, told })
    }

    /// Lets others know that this process is at work, between its parts, too.
    pub fn announce(&self) -> anyhow::Result<()> {
        let process = format!("process {}", self.holder.run_id);
        self.take(self.part(&process, 0))?;
        Ok(())
    }

    fn take(&self, part: Part<'_>) -> Result<bool, registry::Error> {
        let claim = || self.registry.claim_part(part, &self.holder);
        self.ctx.ask(claim)
    }

    fn part<'p>(&'p self, step: &'p str, part: usize) -> Part<'p> {
        Part { work: &self.work, step, part: i32::try_from(part).unwrap_or(i32::MAX) }
    }
}

/// Renews the leases of a run for as long as it lives.
async fn beat(registry: Registry, run_id: Uuid) {
    loop {
        tokio::time::sleep(Duration::from_secs_f64(LEASE_S / BEATS)).await;
        if let Err(error) = registry.renew_parts(run_id).await {
            tracing::warn!("leases were not renewed: {error}");
        }
    }
}

impl Claims for Leases<'_> {
    fn claim(&self, step: &str, part: usize) -> Result<bool, Failure> {
        if *self.stop.borrow() > Stop::Not {
            let text = "told to stop: the same command goes on from here";
            return Err(TryAgain(text.to_owned()).into());
        }
        Ok(self.take(self.part(step, part))?)
    }

    fn release(&self, step: &str, part: usize) -> Result<(), Failure> {
        let (run_id, part) = (self.holder.run_id, Some(self.part(step, part)));
        let release = || self.registry.release_parts(run_id, part);
        Ok(self.ctx.ask(release)?)
    }

    fn told(&self, step: &str, done: usize, parts: usize) {
        (self.told)(step, done, parts);
    }
}

impl Drop for Leases<'_> {
    fn drop(&mut self) {
        self.heart.abort();
        if let Err(error) = self.ctx.block_on(self.registry.release_parts(self.holder.run_id, None))
        {
            tracing::warn!("leases were not given back, and will lapse: {error}");
        }
    }
}
