//! A pixel's store as it is to be once new drafts of its tiles are published: of these drafts, and of
//! what lies in the lake of its other tiles.

use super::encode::Layout;
use super::make::{Arrays, Opened, beside, is_current, open, without_lost, write};
use super::pile::Pile;
use super::stored::Stored;
use crate::derive::Fault;
use crate::derive::input::Input;
use crate::derive::plan;
use crate::stage::Draft;
use bifrost_core::layout::{Lake, SPECTRA};
use bifrost_core::publish::Claim;
use bifrost_core::tile::{Pixel, Tile};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Writes the draft of a pixel's store, which is claimed; gives its rows, or nothing where what is
/// published holds all that it should. Tiles of the lake that cannot be read are left out, and
/// told in the log.
///
/// # Errors
/// Why it cannot be made: words for the tiles' reasons.
pub(crate) fn join(
    lake: &Lake,
    pixel: Pixel,
    claim: &Claim,
    drafts: &[Draft<'_>],
    layout: Layout,
) -> Result<Option<u64>, Fault> {
    let live = claim.live()?;
    let (stored, damage) = beside(&live);
    let mut inputs: BTreeMap<Tile, Opened> = BTreeMap::new();
    for (tile, path) in tiles_of(lake, pixel) {
        if drafts.iter().any(|(of, ..)| **of == tile) {
            continue;
        }
        match open(&tile, &lake.root().join(path), stored.as_ref()) {
            Ok(opened) => drop(inputs.insert(tile, opened)),
            Err(fault) => left_out(&tile, &fault),
        }
    }
    for (tile, claim, rows) in drafts {
        inputs.insert((*tile).clone(), drafted(tile, claim, *rows)?);
    }
    let mut inputs: Vec<Opened> = inputs.into_values().collect();
    for fault in without_lost(&mut inputs, damage)? {
        tracing::warn!("{fault}");
    }
    if drafts.is_empty() && live.first().is_some_and(|live| is_current(live, &inputs, layout)) {
        return Ok(None);
    }
    while !inputs.is_empty() {
        match write(claim.draft(), pixel, &inputs, layout) {
            Ok(()) => return Ok(Some(inputs.iter().map(Opened::num_rows).sum())),
            // a tile that was there before keeps the others from nothing
            Err((Some(tile), fault)) if !drafts.iter().any(|(of, ..)| **of == tile) => {
                left_out(&tile, &fault);
                inputs.retain(|opened| opened.tile != tile);
            }
            Err((_, fault)) => return Err(fault),
        }
    }
    Ok(None)
}

fn left_out(tile: &Tile, fault: &Fault) {
    tracing::warn!("{tile} is left out of its pixel's spectra store: {fault}");
}

/// A draft as it will be called, and its arrays: in it, or in the pile beside it.
fn drafted(tile: &Tile, claim: &Claim, rows: u64) -> Result<Opened, Fault> {
    let mut input = Input::open(&crate::stage::name(SPECTRA), tile, claim.draft())?;
    let name = claim.target(rows).file_name().map(|name| name.to_string_lossy().into_owned());
    input.parent.name = name.unwrap_or_default();
    let arrays = match Stored::open(&Pile::beside(claim.draft()))? {
        Some(pile) => Arrays::Store(Arc::new(pile)),
        None => Arrays::Table,
    };
    Ok(Opened { tile: tile.clone(), input, arrays })
}

/// The tiles of a pixel that have a file in the lake.
fn tiles_of(lake: &Lake, pixel: Pixel) -> Vec<(Tile, std::path::PathBuf)> {
    let folder = lake.pixel_dir(&crate::stage::name(SPECTRA), pixel);
    let inside = |path: &Path| path.strip_prefix(lake.root()).map(Path::to_owned).ok();
    let jobs = plan::under(&folder, &inside);
    jobs.into_iter().map(|job| (job.tile, job.input)).collect()
}

/// Whether the lake's store has the arrays of a tile's file that has none.
pub(crate) fn holds(lake: &Lake, tile: &Tile, path: &Path) -> bool {
    let stored = Stored::open(&lake.store(tile.pixel));
    let input = Input::open(&crate::stage::name(SPECTRA), tile, path);
    matches!((stored, input), (Ok(Some(stored)), Ok(input)) if stored.holds(tile, &input))
}
