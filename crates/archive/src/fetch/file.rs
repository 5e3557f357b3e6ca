//! One file: asked for from its first missing byte, streamed to disk, hashed on the way, renamed.

use super::desk::{Blocks, Visit};
use super::partial::{Care, Partial, Version};
use super::room::Promise;
use super::{Fetched, Fetcher, How, Tally, is_full_disk};
use crate::archive::{Answer, Fault, Rest};
use crate::caller::Event;
use crate::key::Kind;
use crate::pace::{Verdict, pause};
use bifrost_core::outcome::Outcome;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Bytes that are hashed and written at a time: few enough to be in the processor's cache meanwhile.
const BLOCK: usize = 1 << 18;
/// Blocks of a file that may wait to be hashed and written.
const BLOCKS_AHEAD: usize = 3;

/// A file that is to come.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    pub(super) key: String,
    pub(super) path: PathBuf,
    pub(super) size_bytes: Option<u64>,
    pub(super) sha256: Option<String>,
    /// Whether the sum file names it, if there is one.
    pub(super) is_listed: Option<bool>,
}

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("{0}")]
    Fault(#[from] Fault),
    #[error("its sha256 is {found}, the archive states {stated}")]
    Sum { found: String, stated: String },
    #[error("the disk refused: {0}")]
    Disk(#[from] io::Error),
    /// No failure: it is waited for.
    #[error("there is no room on the disk")]
    NoRoom,
}

impl Stop {
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Fault(Fault::Absent(_)) => Outcome::MissingSource,
            Self::Fault(_) => Outcome::ArchiveError,
            Self::Sum { .. } => Outcome::ChecksumMismatch,
            Self::Disk(_) | Self::NoRoom => Outcome::Disk,
        }
    }

    fn is_full_disk(&self) -> bool {
        matches!(self, Self::Disk(e) if is_full_disk(e))
    }
}

impl Wanted {
    pub(super) fn absent(&self) -> Fetched {
        self.ended(How::Absent, 0, None)
    }

    /// What is made of it is held.
    pub(super) fn not_brought(&self) -> Fetched {
        let how = if self.is_listed == Some(true) { How::Held } else { How::Absent };
        self.ended(how, self.size_bytes.unwrap_or(0), None)
    }

    fn care(&self) -> Care {
        if self.sha256.is_some() { Care::Verified } else { Care::Durable }
    }

    fn ended(&self, how: How, size_bytes: u64, etag: Option<String>) -> Fetched {
        Fetched {
            kind: self.kind,
            how,
            key: self.key.clone(),
            path: self.path.clone(),
            size_bytes,
            etag,
            sha256: self.sha256.clone().filter(|_| how != How::Absent),
        }
    }
}

impl Fetcher {
    /// Brings a file, however often its transfer breaks.
    pub(super) async fn bring(&self, wanted: &Wanted, tally: &Tally) -> Result<Fetched, Stop> {
        let url = self.caller.archive().url(&wanted.key);
        let mut patience = self.caller.patience.clone();
        let (mut how, mut farthest) = (How::Fetched, 0);
        let mut partial = None;
        loop {
            let here = match partial.take() {
                Some(here) => here,
                None => {
                    if let Some(size_bytes) = self.is_here(wanted).await? {
                        return Ok(wanted.ended(How::Present, size_bytes, None));
                    }
                    match self.open(wanted).await {
                        Ok(Some(here)) => here,
                        Ok(None) => {
                            tracing::info!("{}: another process fetches it", wanted.key);
                            pause(self.config.room_poll).await;
                            continue;
                        }
                        Err(e) if is_full_disk(&e) => {
                            self.wait_for_room(BLOCK as u64).await;
                            continue;
                        }
                        Err(e) => return Err(e.into()),
                    }
                }
            };
            if here.written() > 0 && farthest == 0 {
                how = How::Resumed;
            }
            let (ended, back) = match is_whole(&here) {
                true => (Ok(()), Some(here)),
                false => {
                    let length = here.version().and_then(|v| v.length).or(wanted.size_bytes);
                    let missing = length.unwrap_or(0).saturating_sub(here.written());
                    let promise = self.room.promise(missing).await?;
                    farthest = farthest.max(here.written());
                    self.attempt(here, wanted, promise, tally).await
                }
            };
            match (ended, back) {
                (Ok(()), Some(whole)) => {
                    let (size, etag) = (whole.written(), version_tag(&whole));
                    match self.publish(whole, wanted).await {
                        Err(stop) if stop.is_full_disk() => self.wait_for_room(BLOCK as u64).await,
                        ended => return ended.map(|()| wanted.ended(how, size, etag)),
                    }
                }
                (Err(Stop::Fault(fault)), back) if fault.may_pass() => {
                    tally.retries.fetch_add(1, Ordering::Relaxed);
                    if let Some(back) = back {
                        if back.written() > farthest {
                            patience.restore();
                        }
                        partial = Some(back);
                    }
                    self.caller.again(&url, fault, &mut patience).await?;
                }
                // its size is known only now: room is waited for above
                (Err(Stop::NoRoom), back) => partial = back,
                // others filled the disk: it is taken up again when there is room
                (Err(stop), _) if stop.is_full_disk() => self.wait_for_room(BLOCK as u64).await,
                (Err(stop), back) => {
                    if let Some(back) = back {
                        off_the_runtime(move || back.leave()).await?;
                    }
                    return Err(stop);
                }
                (Ok(()), None) => {}
            }
        }
    }

    /// Its size, if it is here already and is what it should be.
    async fn is_here(&self, wanted: &Wanted) -> Result<Option<u64>, Stop> {
        let path = wanted.path.clone();
        let found = off_the_runtime(move || Ok(std::fs::metadata(path).ok())).await?;
        let size = match found {
            Some(found) if found.is_file() => found.len(),
            _ => return Ok(None),
        };
        let is_it = match &wanted.sha256 {
            Some(stated) => self.desk.file(&wanted.path).await? == *stated,
            None => wanted.size_bytes == Some(size),
        };
        Ok(is_it.then_some(size))
    }

    async fn open(&self, wanted: &Wanted) -> io::Result<Option<Partial>> {
        let (path, care) = (wanted.path.clone(), wanted.care());
        off_the_runtime(move || Partial::open(&path, care)).await
    }

    async fn publish(&self, mut whole: Partial, wanted: &Wanted) -> Result<(), Stop> {
        let found = whole.digest().clone().hex();
        let stated = wanted.sha256.clone();
        let published = off_the_runtime(move || match stated {
            Some(stated) if stated != found => {
                whole.forget()?;
                Ok(Err(Stop::Sum { found, stated }))
            }
            _ => whole.publish().map(Ok),
        });
        published.await?
    }

    /// One request, and as much of its answer as comes.
    async fn attempt(
        &self,
        here: Partial,
        wanted: &Wanted,
        mut promise: Promise<'_>,
        tally: &Tally,
    ) -> (Result<(), Stop>, Option<Partial>) {
        let turn = self.caller.pace().turn().await;
        let rest = Rest { from: here.written(), etag: version_tag(&here) };
        let url = self.caller.archive().url(&wanted.key);
        let mut answer = match self.caller.archive().get(&url, &rest).await {
            Ok(answer) => answer,
            Err(fault) => {
                turn.end(fault.verdict());
                return self.begun_anew_if(fault, here).await;
            }
        };
        let here = match self.fit(&answer, here, wanted).await {
            Ok(here) => here,
            Err(stop) => return (Err(stop), None),
        };
        let length = here.version().and_then(|v| v.length);
        match promise.grow_to(length.unwrap_or(0).saturating_sub(here.written())) {
            Ok(true) => {}
            Ok(false) => return (Err(Stop::NoRoom), Some(here)),
            Err(e) => return (Err(Stop::Disk(e)), Some(here)),
        }
        let mut sink = Sink::new(here, self.desk.visit());
        let mut streamed = self.stream(&mut answer, &mut sink, &mut promise, tally).await;
        drop(answer);
        let verdict = match &streamed {
            Err(Stop::Fault(fault)) => fault.verdict(),
            _ => Verdict::Well,
        };
        turn.end(verdict);
        if let Err(Stop::Disk(e)) = streamed {
            return (Err(Stop::Disk(e)), None);
        }
        let here = match sink.end().await {
            Ok(here) => here,
            Err(e) => return (Err(Stop::Disk(e)), None),
        };
        if let (Ok(()), Some(of)) = (&streamed, length)
            && here.written() != of
        {
            streamed = Err(Fault::Short { got: here.written(), of }.into());
        }
        (streamed, Some(here))
    }

    /// Where the file has changed, what is here of it is of no use.
    async fn begun_anew_if(
        &self,
        fault: Fault,
        mut here: Partial,
    ) -> (Result<(), Stop>, Option<Partial>) {
        if fault != Fault::Changed {
            return (Err(fault.into()), Some(here));
        }
        let forgotten = off_the_runtime(move || here.forget().map(|()| here)).await;
        match forgotten {
            Ok(here) => (Err(fault.into()), Some(here)),
            Err(e) => (Err(e.into()), None),
        }
    }

    /// Makes what is here and what comes fit together, or says that they do not.
    async fn fit(
        &self,
        answer: &Answer,
        mut here: Partial,
        wanted: &Wanted,
    ) -> Result<Partial, Stop> {
        let length = answer.length.or(wanted.size_bytes);
        let version = Version { length, etag: answer.etag.clone() };
        if answer.from == here.written() && here.written() > 0 {
            let same = here.version().is_some_and(|old| {
                let tags = (&old.etag, &version.etag);
                let differ = matches!((old.length, length), (Some(old), Some(new)) if old != new);
                !differ && !matches!(tags, (Some(old), Some(new)) if old != new)
            });
            if same {
                return Ok(here);
            }
        }
        let (has_size, has_sum) = (wanted.size_bytes, wanted.sha256.is_some());
        let is_first = answer.from == 0;
        let begun = off_the_runtime(move || match is_first {
            true => here.begin(version).map(|()| here),
            false => here.forget().map(|()| here),
        });
        let begun = begun.await?;
        if !is_first {
            return Err(Fault::Changed.into());
        }
        let nonsense = |what: String| Err(Fault::Nonsense(what).into());
        match (length, has_size) {
            (None, _) if !has_sum => nonsense("neither its length nor a sum is known".into()),
            (Some(is), Some(should)) if is != should && !has_sum => {
                nonsense(format!("it has {is} bytes and should have {should}"))
            }
            _ => Ok(begun),
        }
    }

    async fn stream(
        &self,
        answer: &mut Answer,
        sink: &mut Sink,
        promise: &mut Promise<'_>,
        tally: &Tally,
    ) -> Result<(), Stop> {
        while let Some(bytes) = answer.next().await? {
            let count = bytes.len() as u64;
            tally.bytes.fetch_add(count, Ordering::Relaxed);
            self.caller.tell.as_ref()(Event::Bytes(count));
            sink.put(&bytes).await?;
            promise.wrote(count);
            if let Some(valve) = &self.valve {
                valve.pass(bytes.len()).await;
            }
        }
        Ok(())
    }
}

fn is_whole(partial: &Partial) -> bool {
    partial.version().is_some_and(|v| v.length == Some(partial.written()) && partial.written() > 0)
}

fn version_tag(partial: &Partial) -> Option<String> {
    partial.version().and_then(|version| version.etag.clone())
}

/// Writes and hashes blocks while the next ones come.
#[derive(Debug)]
struct Sink {
    buffer: Vec<u8>,
    /// None once there is no more.
    blocks: Option<mpsc::Sender<Vec<u8>>>,
    spare: mpsc::Receiver<Vec<u8>>,
    /// None once it has been waited for.
    writing: Option<JoinHandle<io::Result<Partial>>>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        // nobody wants the rest of it
        if let Some(writing) = &self.writing {
            writing.abort();
        }
    }
}

impl Sink {
    fn new(partial: Partial, visit: Visit) -> Self {
        let (blocks, waiting) = mpsc::channel(BLOCKS_AHEAD);
        // all that there are: those that wait, those that are being written
        let (used, spare) = mpsc::channel(BLOCKS_AHEAD * 2);
        let writing = tokio::spawn(write_all(Box::new(partial), waiting, used, visit));
        Self { buffer: Vec::new(), blocks: Some(blocks), spare, writing: Some(writing) }
    }

    async fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            if self.buffer.len() == BLOCK {
                self.send().await?;
            }
            bytes = later;
        }
        Ok(())
    }

    async fn send(&mut self) -> io::Result<()> {
        let empty = self.spare.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK));
        let block = std::mem::replace(&mut self.buffer, empty);
        let sent = match &self.blocks {
            Some(blocks) => blocks.send(block).await.is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { self.written().await.map(drop) }
    }

    /// What was written to, once everything is.
    async fn written(&mut self) -> io::Result<Partial> {
        self.blocks = None;
        match self.writing.take() {
            Some(writing) => joined(writing.await),
            None => Err(io::Error::other("an earlier write failed")),
        }
    }

    /// Writes what is left.
    async fn end(mut self) -> io::Result<Partial> {
        self.send().await?;
        self.written().await
    }
}

/// Writes and hashes blocks as they come, until no more do; empties them and gives them back.
async fn write_all(
    mut partial: Box<Partial>,
    mut waiting: mpsc::Receiver<Vec<u8>>,
    used: mpsc::Sender<Vec<u8>>,
    visit: Visit,
) -> io::Result<Partial> {
    let mut blocks = Blocks::new();
    while waiting.recv_many(&mut blocks, BLOCKS_AHEAD).await > 0 {
        (partial, blocks) = visit.append(partial, blocks).await?;
        for mut block in blocks.drain(..) {
            block.clear();
            // whoever fills them may have no more to fill
            drop(used.try_send(block));
        }
    }
    Ok(*partial)
}

/// Work that blocks, beside the runtime.
pub(super) async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    joined(tokio::task::spawn_blocking(work).await)
}

fn joined<T>(ended: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    ended.unwrap_or_else(|e| Err(io::Error::other(e)))
}
