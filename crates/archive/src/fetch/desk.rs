//! The desk where all transfers' blocks are hashed and written: those of several side by side, since two
//! take hardly longer than one (see [`bifrost_sha256`]), and each written while it is in the processor's cache.
//!
//! Whoever has blocks leaves them and is called when they are done. Work begins as soon as enough
//! visitors have left theirs, or the first has waited for [`PATIENCE`].

use super::partial::Partial;
use bifrost_sha256::{Sha256, update_all};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Longest wait for company.
const PATIENCE: Duration = Duration::from_millis(20);
/// Threads, at most: each keeps up with some 10 Gbit/s.
const THREADS_MAX: usize = 4;
/// Bytes of a file that are read at a time.
const BLOCK: u64 = 1 << 20;

/// Bytes, in order.
pub(super) type Blocks = Vec<Vec<u8>>;

/// Computes digests on threads of its own, which end with it.
#[derive(Debug)]
pub(super) struct Desk(Arc<Shared>);

/// One stream of blocks.
#[derive(Debug)]
pub(super) struct Visit(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    called: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    visitors: usize,
    is_closed: bool,
}

#[derive(Debug)]
struct Job {
    stream: Stream,
    blocks: Blocks,
    /// Blocks that are done.
    done: usize,
    since: Instant,
    end: oneshot::Sender<io::Result<(Stream, Blocks)>>,
}

/// Where blocks go.
#[derive(Debug)]
enum Stream {
    /// Into a digest alone.
    Digest(Sha256),
    /// Into a file and its digest.
    File(Box<Partial>),
}

impl Stream {
    fn digest(&mut self) -> &mut Sha256 {
        match self {
            Self::Digest(digest) => digest,
            Self::File(partial) => partial.digest(),
        }
    }
}

impl Desk {
    /// Starts its threads.
    ///
    /// # Errors
    /// The system refuses to.
    pub(super) fn new() -> io::Result<Self> {
        let desk = Self(Arc::default());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..cores.min(THREADS_MAX) {
            let shared = desk.0.clone();
            std::thread::Builder::new().name("sha256".to_owned()).spawn(move || shared.serve())?;
        }
        Ok(desk)
    }

    /// Begins a stream.
    pub(super) fn visit(&self) -> Visit {
        self.0.lock().visitors += 1;
        Visit(self.0.clone())
    }

    /// SHA-256 of a file, hex.
    ///
    /// # Errors
    /// What the file system refuses.
    pub(super) async fn file(&self, path: &Path) -> io::Result<String> {
        let (visit, path) = (self.visit(), path.to_owned());
        let mut file = super::file::off_the_runtime(move || File::open(path)).await?;
        let (mut digest, mut block) = (Sha256::new(), Vec::new());
        loop {
            let read = move || {
                block.clear();
                (&file).take(BLOCK).read_to_end(&mut block)?;
                Ok((file, block))
            };
            (file, block) = super::file::off_the_runtime(read).await?;
            if block.is_empty() {
                return Ok(digest.hex());
            }
            let mut blocks;
            (digest, blocks) = visit.update(digest, vec![block]).await?;
            block = blocks.pop().unwrap_or_default();
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.called.notify_all();
    }
}

impl Visit {
    /// Adds blocks to a digest. They come back, to be used again.
    ///
    /// # Errors
    /// The desk is closed.
    pub(super) async fn update(
        &self,
        digest: Sha256,
        blocks: Blocks,
    ) -> io::Result<(Sha256, Blocks)> {
        match self.leave(Stream::Digest(digest), blocks).await? {
            (Stream::Digest(digest), blocks) => Ok((digest, blocks)),
            (Stream::File(_), _) => {
                Err(io::Error::other("a digest was left, and a file came back"))
            }
        }
    }

    /// Adds blocks to a file and its digest. They come back, to be used again.
    ///
    /// # Errors
    /// What the file system refuses; the desk is closed.
    pub(super) async fn append(
        &self,
        partial: Box<Partial>,
        blocks: Blocks,
    ) -> io::Result<(Box<Partial>, Blocks)> {
        match self.leave(Stream::File(partial), blocks).await? {
            (Stream::File(partial), blocks) => Ok((partial, blocks)),
            (Stream::Digest(_), _) => {
                Err(io::Error::other("a file was left, and a digest came back"))
            }
        }
    }

    async fn leave(&self, stream: Stream, blocks: Blocks) -> io::Result<(Stream, Blocks)> {
        let (end, called) = oneshot::channel();
        let job = Job { stream, blocks, done: 0, since: Instant::now(), end };
        self.0.lock().jobs.push_back(job);
        self.0.called.notify_one();
        called.await.map_err(|_| io::Error::other("nothing is hashed any more"))?
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.lock().visitors -= 1;
        // those who waited for us need not any more
        self.0.called.notify_one();
    }
}

impl Shared {
    fn serve(&self) {
        let mut queue = self.lock();
        loop {
            let jobs = queue.take(bifrost_sha256::lanes());
            if !jobs.is_empty() {
                drop(queue);
                let unfinished = a_block_of_each(jobs);
                queue = self.lock();
                // first in turn, and perhaps together with others
                unfinished.into_iter().rev().for_each(|job| queue.jobs.push_front(job));
                continue;
            }
            queue = match queue.jobs.front().map(|job| job.since.elapsed()) {
                None if queue.is_closed => return,
                None => self.called.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(waited) => {
                    let more = PATIENCE.saturating_sub(waited);
                    let waited = self.called.wait_timeout(queue, more);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// What is to be hashed now; nothing while more may come.
    fn take(&mut self, lanes: usize) -> Vec<Job> {
        let enough = self.visitors.min(lanes);
        let is_due = |job: &Job| job.since.elapsed() >= PATIENCE;
        if self.jobs.len() < enough && !self.is_closed && !self.jobs.front().is_some_and(is_due) {
            return Vec::new();
        }
        self.jobs.drain(..self.jobs.len().min(lanes)).collect()
    }
}

/// Hashes and writes a block of each; gives back those that have more.
fn a_block_of_each(mut jobs: Vec<Job>) -> Vec<Job> {
    let mut streams: Vec<(&mut Sha256, &[u8])> = jobs
        .iter_mut()
        .filter_map(|job| Some((job.stream.digest(), job.blocks.get(job.done)?.as_slice())))
        .collect();
    update_all(&mut streams);
    jobs.into_iter().filter_map(written).collect()
}

/// Writes the block that was hashed; gives the job back if it has more.
fn written(mut job: Job) -> Option<Job> {
    if let (Stream::File(partial), Some(block)) = (&mut job.stream, job.blocks.get(job.done))
        && let Err(e) = partial.append(block)
    {
        // whoever has gone does not want it
        drop(job.end.send(Err(e)));
        return None;
    }
    job.done += 1;
    if job.done < job.blocks.len() {
        return Some(job);
    }
    drop(job.end.send(Ok((job.stream, job.blocks))));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_visitor_gets_its_own_digest() {
        let desk = Arc::new(Desk::new().expect("threads"));
        let visits = (0..20_u8).map(|visitor| {
            let desk = desk.clone();
            tokio::spawn(async move {
                let (visit, mut digest) = (desk.visit(), Sha256::new());
                let mut known = Sha256::new();
                for turn in 0..visitor {
                    let blocks = vec![vec![visitor; 1000 * usize::from(turn)], vec![turn; 77]];
                    blocks.iter().for_each(|block| known.update(block));
                    let back;
                    (digest, back) = visit.update(digest, blocks.clone()).await.expect("hashed");
                    assert_eq!(back, blocks);
                }
                assert_eq!(digest.hex(), known.hex());
            })
        });
        for ended in futures::future::join_all(visits).await {
            ended.expect("no failure");
        }
        assert_eq!(desk.0.lock().visitors, 0);
    }

    #[tokio::test]
    async fn nobody_waits_for_those_who_bring_nothing() {
        let desk = Desk::new().expect("threads");
        let _idle = [desk.visit(), desk.visit()];
        let hashed = desk.visit().update(Sha256::new(), vec![b"abc".to_vec()]).await;
        assert!(hashed.expect("hashed").0.hex().starts_with("ba7816bf"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let known = bifrost_sha256::file(&path).expect("read");
        assert_eq!(desk.file(&path).await.expect("read"), known);
    }
}
