//! The tiles of a pixel and its spectra store: fused one after the other, published as one.

use super::config::Config;
use super::tile::{self, Ending};
use super::{Numbered, convert_one};
use crate::stage::Draft;
use crate::store;
use bifrost_core::layout::Lake;
use bifrost_core::outcome::Outcome;
use bifrost_core::publish::{self, Claim, Published, Staging, publish_together};
use bifrost_core::tile::{Pixel, Tile};
use std::io;
use std::path::Path;
use uuid::Uuid;

/// Fuses tiles of a pixel; where one of them cannot be published, none is.
pub(super) fn fuse(
    lake: &Lake,
    staging: &Staging,
    pixel: Pixel,
    tiles: &[Numbered<'_>],
    config: &Config,
) -> Vec<(usize, Ending)> {
    // before any tile: so do all who publish both
    let claim = staging.claim_store(pixel);
    let mut drafts: Vec<(Tile, Claim, u64)> = Vec::new();
    let mut made: Vec<(usize, Ending)> = Vec::new();
    for (index, sources) in tiles {
        let mut keep = |tile: &Tile, claim: Claim, rows: u64| {
            if tile.pixel != pixel {
                return Err(unknown(claim.draft()));
            }
            let published = foreseen(lake, &claim, rows)?;
            drafts.push((tile.clone(), claim, rows));
            Ok(published)
        };
        let fuse = || tile::fuse(lake, staging, sources, config, &mut keep);
        made.push((*index, convert_one(lake, sources, fuse)));
    }
    let is_there = |(_, ending): &(usize, Ending)| !ending.outcome.is_quarantined();
    if !made.iter().any(is_there) {
        return made;
    }
    let published = claim
        .map_err(|e| (Outcome::Disk, e.to_string()))
        .and_then(|claim| publish(lake, pixel, &claim, &drafts, config));
    if let Err((outcome, reason)) = published {
        for ((_, sources), (_, ending)) in tiles.iter().zip(&mut made) {
            if !ending.outcome.is_quarantined() {
                *ending = Ending { rows: None, bytes_out: None, path: None, ..ending.clone() };
                *ending = tile::fail(ending.clone(), outcome, reason.clone());
                // what cannot be recorded is still in the summary
                let _ = tile::remember(lake, sources, ending);
            }
        }
    }
    made
}

/// A tile whose pixel was told otherwise before it was made: the store that it shares is not claimed.
pub(super) fn unknown(draft: &Path) -> publish::Error {
    let source = io::Error::other("its files changed meanwhile; convert it again");
    publish::Error { action: "publish", path: draft.to_owned(), source }
}

/// What a draft will be once it is published.
fn foreseen(lake: &Lake, claim: &Claim, rows: u64) -> Result<Published, publish::Error> {
    let path = lake.root().join(claim.target(rows));
    Ok(Published { path, size_bytes: claim.flush()?, replaced: Vec::new() })
}

fn publish(
    lake: &Lake,
    pixel: Pixel,
    claim: &Claim,
    drafts: &[(Tile, Claim, u64)],
    config: &Config,
) -> Result<(), (Outcome, String)> {
    let of_tiles: Vec<Draft<'_>> =
        drafts.iter().map(|(tile, claim, rows)| (tile, claim, *rows)).collect();
    let joined = store::join(lake, pixel, claim, &of_tiles, config.store)
        .map_err(|fault| (fault.outcome(), fault.to_string()))?;
    let store = joined.map(|rows| (claim, rows, Uuid::now_v7()));
    let tiles = drafts.iter().map(|(_, claim, rows)| (claim, *rows, Uuid::now_v7()));
    let all: Vec<publish::Draft<'_>> = store.into_iter().chain(tiles).collect();
    publish_together(&all).map(drop).map_err(|e| (Outcome::Disk, e.to_string()))
}
