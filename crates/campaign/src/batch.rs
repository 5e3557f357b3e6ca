//! What is said of every few tiles: one line that can be grepped.

use serde::Serialize;
use std::fmt;
use std::time::Instant;

/// A batch of tiles, and how the campaign stands after it.
#[derive(Debug, Clone, Serialize)]
pub struct Batch {
    /// `batch`: what this line is about.
    pub event: &'static str,
    /// Its number in this run, from 1.
    pub batch: u64,
    /// Name of the machine.
    pub node: String,
    /// Tiles in it.
    pub tiles: usize,
    /// Those that were made.
    pub made: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that came to no outcome: the lease was lost.
    pub lost: usize,
    /// Files of the archive, of the tiles that were made.
    pub files_in: usize,
    /// Their bytes.
    pub bytes_in: u64,
    /// Bytes that came over the network.
    pub bytes_fetched: u64,
    /// Bytes of the files that were made.
    pub bytes_out: u64,
    /// From the lease to the last commit, seconds.
    pub seconds: f64,
    /// Bytes in a second, over the time since the last batch ended (10⁶ bytes).
    pub mb_per_s: f64,
    /// Since the run began, seconds.
    pub elapsed_s: f64,
    /// Tiles of the campaign that are made.
    pub tiles_done: i64,
    /// Tiles of the campaign that are to be made.
    pub tiles_left: i64,
    /// Tiles of the campaign that were set aside.
    pub tiles_failed: i64,
    /// Until nothing is left, seconds, at the pace of all nodes since this run began.
    pub eta_s: Option<f64>,
}

/// A batch under way.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) began: Instant,
    pub(crate) pixels: usize,
    pub(crate) tiles: usize,
    pub(crate) made: usize,
    pub(crate) failed: usize,
    pub(crate) lost: usize,
    pub(crate) files_in: usize,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_fetched: u64,
    pub(crate) bytes_out: u64,
}

impl Tally {
    pub(crate) fn new(pixels: usize, tiles: usize) -> Self {
        Self {
            began: Instant::now(),
            pixels,
            tiles,
            made: 0,
            failed: 0,
            lost: 0,
            files_in: 0,
            bytes_in: 0,
            bytes_fetched: 0,
            bytes_out: 0,
        }
    }
}

impl Batch {
    /// How much smaller what came out is than what went in, percent.
    #[must_use]
    pub fn reduction_percent(&self) -> f64 {
        if self.bytes_in == 0 {
            return 0.0;
        }
        100.0 * (1.0 - self.bytes_out as f64 / self.bytes_in as f64)
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        write!(
            f,
            "batch {}: {} tiles ({} made, {} failed), {} files {:.1} MB in, {:.1} MB out ({:.1} % less), \
             {:.1} MB/s, {:.1} s; elapsed {}, {} done, {} left, {} failed, ETA {}",
            self.batch,
            self.tiles,
            self.made,
            self.failed,
            self.files_in,
            mb(self.bytes_in),
            mb(self.bytes_out),
            self.reduction_percent(),
            self.mb_per_s,
            self.seconds,
            clock(self.elapsed_s),
            self.tiles_done,
            self.tiles_left,
            self.tiles_failed,
            self.eta_s.map_or("unknown".to_owned(), clock),
        )
    }
}

/// `61:04:09`: hours, minutes, seconds.
#[must_use]
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    format!("{:02}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_one_line() {
        let batch = Batch {
            event: "batch",
            batch: 3,
            node: "alpha".into(),
            tiles: 8,
            made: 7,
            failed: 1,
            lost: 0,
            files_in: 24,
            bytes_in: 3_000_000_000,
            bytes_fetched: 3_000_000_000,
            bytes_out: 300_000_000,
            seconds: 31.4,
            mb_per_s: 95.5,
            elapsed_s: 219_849.2,
            tiles_done: 23,
            tiles_left: 12_144,
            tiles_failed: 1,
            eta_s: Some(59.6),
        };
        assert_eq!(
            batch.to_string(),
            "batch 3: 8 tiles (7 made, 1 failed), 24 files 3000.0 MB in, 300.0 MB out (90.0 % less), \
             95.5 MB/s, 31.4 s; elapsed 61:04:09, 23 done, 12144 left, 1 failed, ETA 00:01:00"
        );
    }
}
