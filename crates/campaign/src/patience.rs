//! A registry that went away is waited for, with growing pauses, for a while.

use bifrost_core::registry::Error;
use bifrost_core::sync;
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// An error that tells whether it may be gone later.
pub(crate) trait MayPass: std::fmt::Display {
    fn may_pass(&self) -> bool;
}

impl MayPass for Error {
    fn may_pass(&self) -> bool {
        self.is_transient()
    }
}

impl MayPass for sync::Error {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Registry(e) if e.is_transient())
    }
}

/// Tries until it works, fails for good, or has failed for longer than `patience`.
pub(crate) async fn patiently<T, E: MayPass, F: Future<Output = Result<T, E>>>(
    patience: Duration,
    mut attempt: impl FnMut() -> F,
) -> Result<T, E> {
    let (began, mut pause) = (Instant::now(), FIRST);
    loop {
        match attempt().await {
            Err(e) if e.may_pass() && began.elapsed() < patience => {
                tracing::warn!("{e}; trying again in {:.1} s", pause.as_secs_f64());
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
            }
            ended => return ended,
        }
    }
}
