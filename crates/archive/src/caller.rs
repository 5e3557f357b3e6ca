//! Asks, and asks again: the archive, with a pace and with patience.

use crate::archive::{Archive, Fault, Rest};
use crate::pace::{Pace, Patience, Verdict, pause};
use reqwest::Url;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What happens meanwhile, for whoever watches.
#[derive(Debug, Clone)]
pub enum Event {
    /// So many bytes came.
    Bytes(u64),
    /// Something failed and will be tried again.
    Again {
        /// What was asked for.
        url: String,
        /// Why it failed.
        fault: Fault,
        /// How long it waits before the next try.
        wait: Duration,
    },
    /// The disk is too full to go on: waiting for room.
    NoRoom {
        /// Where.
        folder: PathBuf,
        /// Bytes that are free and may be used.
        free_bytes: u64,
        /// Bytes that the next file needs.
        need_bytes: u64,
    },
    /// There is room again.
    RoomAgain {
        /// Where.
        folder: PathBuf,
    },
}

/// Is told what happens. Called from many tasks; must not block.
pub type Tell = Arc<dyn Fn(Event) + Send + Sync>;

/// The archive, asked at a bearable pace.
#[derive(Clone)]
pub struct Caller {
    pub(crate) archive: Archive,
    pub(crate) pace: Arc<Pace>,
    pub(crate) patience: Patience,
    pub(crate) tell: Tell,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("archive", &self.archive).field("pace", &self.pace).finish()
    }
}

impl Caller {
    /// Asks `archive`, at a pace shared by all clones.
    #[must_use]
    pub fn new(archive: Archive, pace: Pace, patience: Patience, tell: Tell) -> Self {
        Self { archive, pace: Arc::new(pace), patience, tell }
    }

    /// The archive that is asked.
    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The pace at which it is asked.
    #[must_use]
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// A small document, understood by `read`; what cannot be understood is asked for again.
    ///
    /// # Errors
    /// [`Fault`], once patience is at an end.
    pub(crate) async fn small<T>(
        &self,
        url: &Url,
        most_bytes: usize,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, Fault> {
        let mut patience = self.patience.clone();
        loop {
            let turn = self.pace.turn().await;
            let answer = self.whole(url, most_bytes).await;
            let answer = answer.and_then(|bytes| read(&bytes).map_err(Fault::Nonsense));
            turn.end(answer.as_ref().map_or_else(Fault::verdict, |_| Verdict::Well));
            match answer {
                Err(fault) if fault.may_pass() => self.again(url, fault, &mut patience).await?,
                other => return other,
            }
        }
    }

    /// Waits before another try.
    ///
    /// # Errors
    /// The fault itself, once patience is at an end.
    pub(crate) async fn again(
        &self,
        url: &Url,
        fault: Fault,
        patience: &mut Patience,
    ) -> Result<(), Fault> {
        let Some(wait) = patience.after_failure() else {
            return Err(fault);
        };
        tracing::info!("{url}: {fault}; again in {:.1} s", wait.as_secs_f64());
        (self.tell)(Event::Again { url: url.to_string(), fault, wait });
        pause(wait).await;
        Ok(())
    }

    async fn whole(&self, url: &Url, most_bytes: usize) -> Result<Vec<u8>, Fault> {
        let mut answer = self.archive.get(url, &Rest::default()).await?;
        let mut body = Vec::new();
        while let Some(bytes) = answer.next().await? {
            body.extend_from_slice(&bytes);
            if body.len() > most_bytes {
                return Err(Fault::Nonsense(format!("it goes beyond {most_bytes} bytes")));
            }
        }
        match answer.length {
            Some(of) if of != body.len() as u64 => Err(Fault::Short { got: body.len() as u64, of }),
            _ => Ok(body),
        }
    }
}
