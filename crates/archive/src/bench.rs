//! How many transfers at a time serve best: the same files, fetched and thrown away, by one worker,
//! by two, by four, …
//!
//! Nothing is tried again and nothing adapts: what is measured is the archive and the line to it.

use crate::archive::{Archive, Fault, Rest};
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The highest rate is that of the best interval of this length.
const INTERVAL: Duration = Duration::from_millis(250);
/// More workers must gain more than this to be worth their load on the archive.
const WORTH: f64 = 1.05;

/// One line of the table: all files, by so many workers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Round {
    /// Transfers at a time.
    pub workers: usize,
    /// Files that came whole.
    pub files: usize,
    /// Bytes that came.
    pub bytes: u64,
    /// How long it took, seconds.
    pub seconds: f64,
    /// Bytes over time, MB (10⁶ bytes) a second.
    pub mean_mb_per_s: f64,
    /// The same in the best quarter of a second.
    pub max_mb_per_s: f64,
    /// Files that failed.
    pub failures: usize,
    /// Those among them where the archive asked for patience.
    pub slow_downs: usize,
    /// What the first failure said.
    pub first_failure: Option<String>,
}

/// What is counted while a round goes on.
#[derive(Debug, Default)]
struct Counts {
    next: AtomicUsize,
    bytes: AtomicU64,
    files: AtomicUsize,
    slow_downs: AtomicUsize,
    is_over: AtomicBool,
}

/// Fetches every key once with so many workers.
pub async fn round(archive: &Archive, keys: &[String], workers: usize) -> Round {
    let counts = Counts::default();
    let began = Instant::now();
    let work = async {
        let workers = (0..workers.max(1)).map(|_| worker(archive, keys, &counts));
        let failed = futures::future::join_all(workers).await;
        counts.is_over.store(true, Ordering::Relaxed);
        (failed, began.elapsed().as_secs_f64())
    };
    let ((failed, seconds), fastest) = tokio::join!(work, watch(&counts));
    let bytes = counts.bytes.into_inner();
    let mean_mb_per_s = bytes as f64 / 1e6 / seconds.max(1e-9);
    Round {
        workers,
        files: counts.files.into_inner(),
        bytes,
        seconds,
        mean_mb_per_s,
        max_mb_per_s: fastest.max(mean_mb_per_s),
        failures: failed.iter().map(Vec::len).sum(),
        slow_downs: counts.slow_downs.into_inner(),
        first_failure: failed.into_iter().flatten().next(),
    }
}

/// The number of workers to use: the least whose rate more workers do not beat by much, among those
/// that nothing failed with.
#[must_use]
pub fn recommended(rounds: &[Round]) -> Option<usize> {
    let clean = || rounds.iter().filter(|round| round.failures == 0 && round.bytes > 0);
    let best = clean().map(|round| round.mean_mb_per_s).reduce(f64::max)?;
    clean().filter(|round| round.mean_mb_per_s * WORTH >= best).map(|round| round.workers).min()
}

async fn worker(archive: &Archive, keys: &[String], counts: &Counts) -> Vec<String> {
    let mut failed = Vec::new();
    while let Some(key) = keys.get(counts.next.fetch_add(1, Ordering::Relaxed)) {
        match fetched(archive, key, counts).await {
            Ok(()) => {
                counts.files.fetch_add(1, Ordering::Relaxed);
            }
            Err(fault) => {
                if matches!(fault, Fault::Busy { .. }) {
                    counts.slow_downs.fetch_add(1, Ordering::Relaxed);
                }
                failed.push(format!("{key}: {fault}"));
            }
        }
    }
    failed
}

async fn fetched(archive: &Archive, key: &str, counts: &Counts) -> Result<(), Fault> {
    let mut answer = archive.get(&archive.url(key), &Rest::default()).await?;
    let mut got = 0;
    while let Some(bytes) = answer.next().await? {
        got += bytes.len() as u64;
        counts.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }
    match answer.length {
        Some(of) if of != got => Err(Fault::Short { got, of }),
        _ => Ok(()),
    }
}

/// The rate of the best interval, MB/s.
async fn watch(counts: &Counts) -> f64 {
    let (mut before, mut since, mut fastest) = (0, Instant::now(), 0.0_f64);
    while !counts.is_over.load(Ordering::Relaxed) {
        tokio::time::sleep(INTERVAL / 10).await;
        let time = since.elapsed();
        if time >= INTERVAL {
            let now = counts.bytes.load(Ordering::Relaxed);
            fastest = fastest.max((now - before) as f64 / 1e6 / time.as_secs_f64());
            (before, since) = (now, Instant::now());
        }
    }
    fastest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recommendation_is_the_least_that_is_good_and_clean() {
        let round = |workers, mean_mb_per_s, failures| Round {
            workers,
            files: 1,
            bytes: 1,
            seconds: 1.0,
            mean_mb_per_s,
            max_mb_per_s: mean_mb_per_s,
            failures,
            slow_downs: 0,
            first_failure: None,
        };
        let rounds = [round(1, 20.0, 0), round(4, 70.0, 0), round(8, 99.0, 0), round(16, 100.0, 0)];
        assert_eq!(recommended(&rounds), Some(8));
        let rounds = [round(1, 20.0, 0), round(8, 80.0, 0), round(16, 200.0, 3)];
        assert_eq!(recommended(&rounds), Some(8));
        assert_eq!(recommended(&[round(1, 20.0, 1)]), None);
        assert_eq!(recommended(&[]), None);
    }
}
