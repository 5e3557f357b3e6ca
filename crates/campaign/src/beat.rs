//! The heartbeat: says that we live, renews all leases in one statement, learns who else lives.

use crate::scratch;
use crate::settings::Settings;
use bifrost_core::registry::Registry;
use bifrost_core::registry::campaign::{Disk, Peer};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The leases that this run holds. A lease that is found lost raises its flag.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held(Arc<Mutex<HashMap<i64, watch::Sender<bool>>>>);

impl Held {
    /// A lease was taken; the flag is raised when it is lost.
    pub(crate) fn add(&self, token: i64) -> watch::Receiver<bool> {
        let (sender, receiver) = watch::channel(false);
        self.lock().insert(token, sender);
        receiver
    }

    /// It is given back, or of no interest any more.
    pub(crate) fn remove(&self, token: i64) {
        self.lock().remove(&token);
    }

    pub(crate) fn tokens(&self) -> Vec<i64> {
        self.lock().keys().copied().collect()
    }

    /// Raises the flags of those asked about that are not among `still`.
    fn lose(&self, asked: &[i64], still: &[i64]) {
        let held = self.lock();
        for token in asked.iter().filter(|token| !still.contains(token)) {
            if let Some(flag) = held.get(token) {
                tracing::warn!("lease {token} is lost: its pixel is abandoned");
                flag.send_replace(true);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, watch::Sender<bool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Beats until it is dropped. `peers` always has the latest list.
pub(crate) struct Heart {
    pub(crate) registry: Registry,
    pub(crate) settings: Arc<Settings>,
    pub(crate) folder: PathBuf,
    pub(crate) held: Held,
    pub(crate) peers: watch::Sender<Vec<Peer>>,
}

impl Heart {
    pub(crate) async fn beat_for_ever(self) {
        let lease = Duration::from_secs_f64(self.settings.taker.lease_s);
        loop {
            let pause = match self.beat().await {
                Ok(()) => lease / 3,
                Err(e) => {
                    tracing::warn!("the heartbeat failed: {e}");
                    lease / 10
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn beat(&self) -> Result<(), bifrost_core::registry::Error> {
        let taker = &self.settings.taker;
        self.registry.beat(taker.run_id, disk_of(&self.folder), taker.lease_s).await?;
        let tokens = self.held.tokens();
        if !tokens.is_empty() {
            let still = self.registry.renew_leases(&tokens, taker.lease_s).await?;
            self.held.lose(&tokens, &still);
        }
        let peers = self.registry.campaign_peers(&taker.release).await?;
        self.peers.send_if_modified(|known| {
            let is_new = *known != peers;
            *known = peers;
            is_new
        });
        Ok(())
    }
}

/// The disk as the registry shows it; one that cannot be asked shows as full.
pub(crate) fn disk_of(folder: &Path) -> Disk {
    let (free, size) = scratch::disk(folder).unwrap_or_default();
    let signed = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
    Disk { free_bytes: signed(free), size_bytes: signed(size) }
}
