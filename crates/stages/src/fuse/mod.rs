//! Fusion: a tile's coadd, redrock, emline and rrdetails files become one Parquet file.
//!
//! [`sources`] finds the files, [`inputs`] opens them, [`identity`] tells the tile, [`tables`] joins
//! its tables on TARGETID, [`rows`] makes the scalar columns of [`schema`], [`coadd`] reads spectra,
//! `precision` rounds them, `encode` packs them into pages, `write` lays them out, `tile` runs it all and publishes. Whatever is
//! wrong with a tile is that tile's [`findings`].

pub mod coadd;
pub mod config;
mod encode;
pub mod findings;
pub mod identity;
pub mod inputs;
pub mod precision;
pub mod rows;
pub mod schema;
pub mod sources;
pub mod sums;
pub mod tables;
pub mod tile;
pub mod unchanged;
pub mod write;

pub use config::{Codec, Config, Given, Keep, Layout};
pub use precision::Precision;
pub use sources::Sources;
pub use tile::{Ending, Plan, plan};

use bifrost_core::layout::Lake;
use bifrost_core::outcome::Outcome;
use bifrost_core::publish::{self, Staging};
use findings::Findings;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Converts tiles, `jobs` at a time; `ended` is called as each ends. The endings come in the order
/// of the tiles.
///
/// # Errors
/// Where the lake cannot be written at all.
pub fn convert(
    lake: &Lake,
    tiles: &[Sources],
    config: &Config,
    jobs: usize,
    ended: &(dyn Fn(&Ending) + Sync),
) -> Result<Vec<Ending>, publish::Error> {
    let staging = Staging::open(lake)?;
    let next = AtomicUsize::new(0);
    let endings: Mutex<Vec<(usize, Ending)>> = Mutex::new(Vec::with_capacity(tiles.len()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, tiles.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(sources) = tiles.get(index) else { break };
                    let ending = convert_one(lake, &staging, sources, config);
                    ended(&ending);
                    endings.lock().unwrap_or_else(PoisonError::into_inner).push((index, ending));
                }
            });
        }
    });
    let mut endings = endings.into_inner().unwrap_or_else(PoisonError::into_inner);
    endings.sort_by_key(|(index, _)| *index);
    Ok(endings.into_iter().map(|(_, ending)| ending).collect())
}

/// One tile; a fault of this program is that tile's alone.
fn convert_one(lake: &Lake, staging: &Staging, sources: &Sources, config: &Config) -> Ending {
    let start = Instant::now();
    let fused = catch_unwind(AssertUnwindSafe(|| tile::fuse(lake, staging, sources, config)));
    let mut ending = fused.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        let mut findings = Findings::default();
        findings.add(Outcome::Internal, format!("a fault: {}", said.unwrap_or("without words")));
        let ending = Ending::of(sources, None, Outcome::Internal).with(&findings);
        // what cannot be recorded is still in the summary
        let _ = tile::remember(lake, sources, &ending);
        ending
    });
    ending.seconds = start.elapsed().as_secs_f64();
    ending
}
