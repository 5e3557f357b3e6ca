//! The options of `bifrost run`, and what they amount to.

use crate::archive;
use crate::commands::convert::parse_arrays;
use crate::context::Context;
use crate::exit::Usage;
use bifrost_archive::key::Production;
use bifrost_campaign::{Settings, notices};
use bifrost_core::layout::Lake;
use bifrost_core::registry::campaign::{Retry, Taker};
use bifrost_stages::fuse::{Arrays, Config};
use bifrost_stages::stage::{FromArchive, Nothing};
use serde::Deserialize;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

/// What may also be set in `bifrost.toml`, under `[run]`, with the same spelling.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[group(skip)]
pub struct Options {
    /// Tiles of a batch: leased together, told of in one line [default: 8]
    #[arg(long, value_name = "N")]
    tiles_per_batch: Option<NonZero<usize>>,
    /// Stop after so many batches
    #[arg(long, value_name = "N")]
    max_batches: Option<u64>,
    /// Tiles that are made at a time [default: one a core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// The archive's files that may be here at once: 50GB [default: 50GB]
    #[arg(long, value_name = "SIZE")]
    scratch: Option<String>,
    /// Keep the archive's files once their tiles are published
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    keep_fits: Option<bool>,
    /// How long a node that is silent keeps its tiles, seconds [default: 300]
    #[arg(long, value_name = "S")]
    lease: Option<f64>,
    /// This node's share, relative to the others' [default: 1]
    #[arg(long, value_name = "X")]
    weight: Option<f64>,
    /// End (exit code 75) when only other nodes' tiles are left, instead of standing in for them
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_wait: Option<bool>,
    /// Within so long a run ends that is told to (SIGTERM, SIGINT), seconds [default: 30]
    #[arg(long, value_name = "S")]
    grace: Option<f64>,
    /// Tries of a tile that fails for a reason that may pass [default: 5]
    #[arg(long, value_name = "N")]
    tries: Option<NonZero<u16>>,
    /// Pause after the first of them, seconds; each is four times as long as the last [default: 60]
    #[arg(long, value_name = "S")]
    retry_pause: Option<f64>,
    /// How long a registry that went away is waited for, seconds [default: 600]
    #[arg(long, value_name = "S")]
    patience: Option<f64>,
    /// Address that notices are posted to, as Slack wants them: {"text": …}
    #[arg(long, value_name = "URL", env = "BIFROST_WEBHOOK", hide_env_values = true)]
    webhook: Option<String>,
    /// Shell command that gets notices on its standard input, as JSON: how mail is sent
    #[arg(long, value_name = "COMMAND")]
    hook: Option<String>,
    /// Percentages of the tiles that are worth a notice [default: 10,25,50,75,90]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    milestones: Option<Vec<u8>>,
    /// Part of the last 50 tries that may fail without a notice [default: 0.2]
    #[arg(long, value_name = "X")]
    failure_rate: Option<f64>,
    /// So long nothing may end without a notice, seconds [default: 1800]
    #[arg(long, value_name = "S")]
    stall_after: Option<f64>,
    /// Where arrays go: the Parquet files, the pixels' spectra stores, or both [default: as for
    /// convert]
    #[arg(long, value_name = "parquet|hdf5|both", value_parser = parse_arrays)]
    arrays: Option<Arrays>,
    /// What is done with a tile: `nothing` tries everything around it
    #[arg(long, value_name = "NAME", hide = true)]
    stage: Option<String>,
}

impl Options {
    /// These, and where they are silent, those.
    pub(super) fn or(self, those: &Self) -> Self {
        let those = those.clone();
        Self {
            tiles_per_batch: self.tiles_per_batch.or(those.tiles_per_batch),
            max_batches: self.max_batches.or(those.max_batches),
            jobs: self.jobs.or(those.jobs),
            scratch: self.scratch.or(those.scratch),
            keep_fits: self.keep_fits.or(those.keep_fits),
            lease: self.lease.or(those.lease),
            weight: self.weight.or(those.weight),
            no_wait: self.no_wait.or(those.no_wait),
            grace: self.grace.or(those.grace),
            tries: self.tries.or(those.tries),
            retry_pause: self.retry_pause.or(those.retry_pause),
            patience: self.patience.or(those.patience),
            webhook: self.webhook.or(those.webhook),
            hook: self.hook.or(those.hook),
            milestones: self.milestones.or(those.milestones),
            failure_rate: self.failure_rate.or(those.failure_rate),
            stall_after: self.stall_after.or(those.stall_after),
            arrays: self.arrays.or(those.arrays),
            stage: self.stage.or(those.stage),
        }
    }

    /// Who is told how it goes, if anybody is.
    fn notices(&self, lease_s: f64) -> anyhow::Result<Option<notices::Config>> {
        // a secret that is there and empty is none
        let webhook = self.webhook.clone().filter(|url| !url.is_empty());
        if webhook.is_none() && self.hook.is_none() {
            return Ok(None);
        }
        if !webhook.as_deref().is_none_or(notices::is_address) {
            return Err(Usage("--webhook takes a URL: https://…".to_owned()).into());
        }
        let milestones = self.milestones.clone().unwrap_or_else(|| vec![10, 25, 50, 75, 90]);
        if milestones.iter().any(|percent| *percent > 100) {
            return Err(Usage("--milestones takes percentages, up to 100".to_owned()).into());
        }
        Ok(Some(notices::Config {
            webhook,
            command: self.hook.clone(),
            milestones,
            failure_rate: within("--failure-rate", self.failure_rate, 0.2, 0.0)?,
            stall_s: within("--stall-after", self.stall_after, 1800.0, 0.0)?,
            every: Duration::from_secs_f64((lease_s / 3.0).clamp(0.2, 30.0)),
        }))
    }

    fn stage(&self, ctx: &Context) -> anyhow::Result<Arc<dyn FromArchive>> {
        match self.stage.as_deref() {
            None => {
                let config = ctx.settings.convert.config()?;
                let arrays = self.arrays.unwrap_or(config.arrays);
                Ok(Arc::new(Config { arrays, ..config }))
            }
            Some("nothing") => Ok(Arc::new(Nothing)),
            Some(other) => Err(Usage(format!("there is no stage '{other}'")).into()),
        }
    }
}

/// A number within bounds, or its default.
fn within(option: &str, given: Option<f64>, default: f64, least: f64) -> anyhow::Result<f64> {
    let value = given.unwrap_or(default);
    if (least..=1e6).contains(&value) {
        return Ok(value);
    }
    Err(Usage(format!("{option} takes a number from {least} to a million")).into())
}

pub(super) fn settings(
    ctx: &Context,
    options: &Options,
    lake: &Lake,
    production: Production,
    only: Option<Vec<i64>>,
) -> anyhow::Result<Settings> {
    let stage = options.stage(ctx)?;
    let scratch = options.scratch.as_deref().unwrap_or("50GB");
    let scratch_bytes =
        archive::parse_size(scratch).map_err(|e| Usage(format!("--scratch: {e}")))?;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let lease_s = within("--lease", options.lease, 300.0, 0.5)?;
    let seconds =
        |option, given, default| within(option, given, default, 0.0).map(Duration::from_secs_f64);
    Ok(Settings {
        taker: Taker {
            node: ctx.node(lake),
            lake_id: lake.identity().lake_id,
            run_id: uuid::Uuid::new_v4(),
            release: production.release().clone(),
            stage: stage.about().name.to_owned(),
            product: stage.about().product(),
            only,
            lease_s,
        },
        stage,
        weight: within("--weight", options.weight, 1.0, 1e-6)?,
        tiles_per_batch: options.tiles_per_batch.map_or(8, NonZero::get),
        max_batches: options.max_batches,
        jobs: options.jobs.map_or(cores, NonZero::get),
        scratch_bytes,
        scratch_folder: ctx.settings.fetch.folder(ctx)?,
        production,
        keep_fits: options.keep_fits.unwrap_or(false),
        waits: !options.no_wait.unwrap_or(false),
        grace: seconds("--grace", options.grace, 30.0)?,
        retry: Retry {
            tries: options.tries.map_or(5, |n| i32::from(n.get())),
            pause_s: within("--retry-pause", options.retry_pause, 60.0, 0.0)?,
        },
        catalog: ctx.settings.sync.products(),
        patience: seconds("--patience", options.patience, 600.0)?,
        notices: options.notices(lease_s)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_spelled_as_flags() {
        let text = "tiles_per_batch = 4\nscratch = '10GB'\nno_wait = true\nlease = 60.0";
        let set: Options = toml::from_str(text).expect("settings");
        let merged = Options { lease: Some(2.0), ..Options::default() }.or(&set);
        assert_eq!((merged.lease, merged.no_wait), (Some(2.0), Some(true)));
        assert_eq!(merged.tiles_per_batch.map(NonZero::get), Some(4));
        for wrong in ["webhook = 'hooks.example.org/x'", "hook = 'cat'\nmilestones = [50, 101]"] {
            let wrong: Options = toml::from_str(wrong).expect("settings");
            assert!(wrong.notices(1.0).expect_err("it tells nobody").is::<Usage>());
        }
        let empty: Options = toml::from_str("webhook = ''").expect("settings");
        assert!(empty.notices(1.0).expect("settings").is_none());
        for (given, least) in [(Some(0.1), 0.5), (Some(f64::NAN), 0.0), (Some(-1.0), 0.0)] {
            assert!(within("--lease", given, 1.0, least).expect_err("out of bounds").is::<Usage>());
        }
    }
}
