//! Fusion: a tile's coadd, redrock, emline and rrdetails files become one Parquet file.
//!
//! [`sources`] finds the files, [`inputs`] opens them, [`identity`] tells the tile, [`tables`] joins
//! its tables on TARGETID, [`rows`] makes the scalar columns of [`schema`], [`coadd`] reads spectra,
//! `precision` rounds them, `encode` packs them into pages, `write` lays them out, `tile` runs it
//! all and publishes; `pixel` does so for the tiles of a pixel and its spectra store. Whatever is wrong with a tile is that tile's [`findings`].

pub mod coadd;
pub mod config;
mod encode;
pub mod findings;
pub mod identity;
pub mod inputs;
mod pixel;
pub mod precision;
pub mod rows;
pub mod schema;
pub mod sources;
pub mod sums;
pub mod tables;
pub mod tile;
pub mod unchanged;
pub mod write;

pub use config::{Arrays, Codec, Config, Given, Keep, Layout};
pub use precision::Precision;
pub use sources::Sources;
pub use tile::{Ending, Plan, plan};

use bifrost_core::guard::guard;
use bifrost_core::layout::Lake;
use bifrost_core::outcome::Outcome;
use bifrost_core::publish::{self, Claim, Staging};
use bifrost_core::tile::{Pixel, Tile};
use findings::Findings;
use rayon::prelude::*;
use std::collections::BTreeMap;
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
    let groups = groups(&staging, tiles, config);
    let next = AtomicUsize::new(0);
    let endings: Mutex<Vec<(usize, Ending)>> = Mutex::new(Vec::with_capacity(tiles.len()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, groups.len().max(1)) {
            scope.spawn(|| {
                while let Some((pixel, tiles)) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let made = match pixel {
                        Some(pixel) => pixel::fuse(lake, &staging, *pixel, tiles, config),
                        None => one_by_one(lake, &staging, tiles, config),
                    };
                    made.iter().for_each(|(_, ending)| ended(ending));
                    endings.lock().unwrap_or_else(PoisonError::into_inner).extend(made);
                }
            });
        }
    });
    let mut endings = endings.into_inner().unwrap_or_else(PoisonError::into_inner);
    endings.sort_by_key(|(index, _)| *index);
    Ok(endings.into_iter().map(|(_, ending)| ending).collect())
}

/// A tile and its place among all.
type Numbered<'a> = (usize, &'a Sources);

/// What is published together: the tiles of a pixel where they share a spectra store, else each by
/// itself.
fn groups<'a>(
    staging: &Staging,
    tiles: &'a [Sources],
    config: &Config,
) -> Vec<(Option<Pixel>, Vec<Numbered<'a>>)> {
    let numbered = tiles.iter().enumerate();
    if !config.arrays.in_store() {
        return numbered.map(|tile| (None, vec![tile])).collect();
    }
    let pixel = |tile: &Sources| tile::pixel_of(staging, tile, config).map(Pixel::get);
    let pixels: Vec<Option<u32>> = tiles.par_iter().map(pixel).collect();
    let mut groups: BTreeMap<Option<u32>, Vec<Numbered<'a>>> = BTreeMap::new();
    for (pixel, tile) in pixels.into_iter().zip(numbered) {
        groups.entry(pixel).or_default().push(tile);
    }
    let known = |pixel: Option<u32>| pixel.and_then(|pixel| Pixel::new(pixel.into()).ok());
    groups.into_iter().map(|(pixel, tiles)| (known(pixel), tiles)).collect()
}

fn one_by_one(
    lake: &Lake,
    staging: &Staging,
    tiles: &[Numbered<'_>],
    config: &Config,
) -> Vec<(usize, Ending)> {
    let mut publish = |_: &Tile, claim: Claim, rows| match config.arrays.in_store() {
        // its files came while the others were looked at
        true => Err(pixel::unknown(claim.draft())),
        false => claim.publish(rows),
    };
    let mut fuse = |(index, sources): &Numbered<'_>| {
        let fuse = || tile::fuse(lake, staging, sources, config, &mut publish);
        (*index, convert_one(lake, sources, fuse))
    };
    tiles.iter().map(&mut fuse).collect()
}

/// One tile; a fault of this program is that tile's alone.
fn convert_one(lake: &Lake, sources: &Sources, fuse: impl FnOnce() -> Ending) -> Ending {
    let start = Instant::now();
    let mut ending = guard(fuse).unwrap_or_else(|panicked| {
        let mut findings = Findings::default();
        findings.add(Outcome::Internal, format!("a fault: {}", panicked.fault()));
        let ending = Ending::of(sources, None, Outcome::Internal).with(&findings);
        // what cannot be recorded is still in the summary
        let _ = tile::remember(lake, sources, &ending);
        ending
    });
    ending.seconds = start.elapsed().as_secs_f64();
    ending
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_core::{guard::keep_quiet, quarantine};

    #[test]
    fn a_fault_is_one_tiles_and_says_where() {
        keep_quiet();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let lake = Lake::open_or_create(dir.path(), "here").expect("a lake");
        let sources = Sources { stem: "x".to_owned(), ..Sources::default() };
        let row = 3;
        // as where a page is encoded, on another thread
        let fuse = || rayon::join(|| panic!("row {row} is odd"), || ()).0;
        let ending = convert_one(&lake, &sources, fuse);
        assert_eq!((ending.outcome, ending.stem.as_str()), (Outcome::Internal, "x"));
        let place = format!("({}:{})", file!(), line!() - 3);
        assert_eq!(ending.reasons, [format!("a fault: row 3 is odd {place}")]);
        let recorded = quarantine::list(&lake).expect("listed");
        assert_eq!(recorded[0].reasons, ending.reasons);
    }
}
