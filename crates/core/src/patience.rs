//! A registry that went away is waited for, with growing pauses, for a while.

use crate::registry::Error;
use crate::{gc, hats, history, resolution, spectrum, sync};
use std::time::{Duration, Instant};

/// How long a command that somebody waits for tries on.
pub const OF_A_COMMAND: Duration = Duration::from_secs(30);
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// An error that tells whether it may be gone later.
pub trait MayPass: std::fmt::Display {
    /// Whether the same thing may work later without anybody's doing.
    fn may_pass(&self) -> bool;
}

impl MayPass for Error {
    fn may_pass(&self) -> bool {
        self.is_transient()
    }
}

impl MayPass for spectrum::Error {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Registry(e) if e.is_transient())
    }
}

impl MayPass for resolution::Error {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Registry(e) if e.is_transient())
    }
}

impl MayPass for history::Error {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Registry(e) if e.is_transient())
    }
}

impl MayPass for gc::Error {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Registry(e) if e.is_transient())
    }
}

impl MayPass for sync::Error {
    fn may_pass(&self) -> bool {
        match self {
            Self::Registry(e) | Self::Hats(hats::Error::Registry(e)) => e.is_transient(),
            _ => false,
        }
    }
}

/// Tries until it works, fails for good, or has failed for longer than `patience`. What is tried
/// must be such that it may be done twice: the answer to a commit may have been lost.
///
/// # Errors
/// That of the last try.
pub async fn patiently<T, E: MayPass, F: Future<Output = Result<T, E>>>(
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
