//! What a run is told, what it tells, and how it ends.

use crate::batch::Batch;
use crate::notices;
use bifrost_archive::key::Production;
use bifrost_core::registry::campaign::{Counts, Retry, Taker};
use bifrost_core::sync::{self, Settled};
use bifrost_core::{publish, quarantine, registry};
use bifrost_stages::stage::FromArchive;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How a campaign is run on one node.
pub struct Settings {
    /// What is done with a tile.
    pub stage: Arc<dyn FromArchive>,
    /// Who leases what.
    pub taker: Taker,
    /// Share of this node, relative to others'.
    pub weight: f64,
    /// Tiles that are leased together, and told of together.
    pub tiles_per_batch: usize,
    /// After so many batches nothing more is leased.
    pub max_batches: Option<u64>,
    /// Tiles that are made at once.
    pub jobs: usize,
    /// The archive's files that may be here at once, bytes.
    pub scratch_bytes: u64,
    /// Where they are.
    pub scratch_folder: PathBuf,
    /// Where the archive keeps them.
    pub production: Production,
    /// Whether they stay.
    pub keep_fits: bool,
    /// Whether to stay while others are at work, to take over from those that die.
    pub waits: bool,
    /// Within so long it stops when it is told to.
    pub grace: Duration,
    /// How often failures that may pass are tried again.
    pub retry: Retry,
    /// Products whose rows belong into the catalog.
    pub catalog: Option<Vec<String>>,
    /// So long a registry that went away is waited for.
    pub patience: Duration,
    /// Who is told how it goes.
    pub notices: Option<notices::Config>,
}

/// What a run is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Nothing.
    Not,
    /// Finish what can be finished in time, give the rest back.
    Soon,
    /// Give all back.
    Now,
}

/// What happens meanwhile.
#[derive(Debug, Clone)]
pub enum Event {
    /// It begins: what was settled of earlier runs, and how the campaign stands.
    Began(Settled, Counts),
    /// So many tiles ended.
    Tiles(usize),
    /// A batch ended.
    Batch(Box<Batch>),
    /// Nothing of this node's is left; others are at work, or tiles wait for another try.
    Waiting {
        /// Tiles of others.
        others: i64,
        /// Tiles that wait.
        waiting: i64,
    },
}

/// Is told what happens. Must not block.
pub type Tell = Arc<dyn Fn(Event) + Send + Sync>;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Nothing is left.
    Complete,
    /// As many batches as were asked for.
    Batches,
    /// Others hold the rest, and it was not to wait.
    OthersHold,
    /// It was told to stop.
    Stopped,
}

/// What a run did.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `end`: what this line is about.
    pub event: &'static str,
    /// Version of this report's form.
    pub version: u32,
    /// Name of the machine.
    pub node: String,
    /// Why it ended.
    pub end: End,
    /// Batches.
    pub batches: u64,
    /// Tiles that were made.
    pub made: usize,
    /// Tries that failed.
    pub failed: usize,
    /// Tiles whose leases were lost.
    pub lost: usize,
    /// Bytes of the archive's files, of the tiles that were made.
    pub bytes_in: u64,
    /// Bytes of the files that were made.
    pub bytes_out: u64,
    /// How long it took.
    pub seconds: f64,
    /// How the campaign stands.
    pub tiles: Counts,
}

/// Why a run failed. What it had begun is settled by the next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process runs a campaign in this lake.
    #[error("another run is at work in the lake {}", .0.display())]
    Busy(PathBuf),
    /// Another lake speaks for a node of this name.
    #[error("node {0} is at work with another lake: give this one another name with --node")]
    NodeTaken(String),
    /// The lake's disk cannot be asked.
    #[error("failed to ask the disk of {}: {source}", path.display())]
    Disk {
        /// The lake.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file system refused.
    #[error(transparent)]
    Publish(#[from] publish::Error),
    /// The quarantine cannot be read.
    #[error(transparent)]
    Quarantine(#[from] quarantine::Error),
    /// The registry refused, or was away for too long.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// A publication failed.
    #[error(transparent)]
    Sync(#[from] sync::Error),
}
