//! Which row of an object is the primary one.
//!
//! Of all rows with one TARGETID: a good redshift (zwarn = 0) before a bad one, then the larger
//! `tsnr2_lrg`, then the tile that comes first by release, survey, program and pixel, then the file
//! that was registered first, then the row that comes first. New rows compete among themselves
//! here; the best of each object then meets the registry's primary row.

use super::Candidate;
use crate::registry::{Commit, ContestedRow, Error};
use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

/// How good a row is: larger is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Quality(u64);

impl Quality {
    pub(super) fn new(zwarn_zero: bool, tsnr2_lrg: Option<f32>) -> Self {
        // floats in the order of their bits, once negative ones are turned around
        let bits = |x: f32| {
            let bits = (x + 0.0).to_bits();
            if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
        };
        let known = tsnr2_lrg.filter(|x| !x.is_nan());
        let signal = known.map_or(0, |x| 1 << 32 | u64::from(bits(x)));
        Self(u64::from(zwarn_zero) << 33 | signal)
    }
}

/// A row that might be primary. The order of contenders is: by object, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Contender {
    pub(super) target_id: i64,
    quality: Reverse<Quality>,
    /// Place of the file in the order of ties.
    place: u32,
    pub(super) row: u32,
}

/// The order of files in which ties are decided.
#[derive(Debug)]
pub(super) struct Places {
    /// By index of the file.
    place: Vec<u32>,
    /// By place.
    index: Vec<usize>,
}

impl Places {
    pub(super) fn new(candidates: &[Candidate]) -> Self {
        let mut index: Vec<usize> = (0..candidates.len()).collect();
        index.sort_by(|&a, &b| candidate_order(&candidates[a], &candidates[b]));
        let mut place = vec![0; index.len()];
        for (p, &i) in (0..).zip(&index) {
            place[i] = p;
        }
        Self { place, index }
    }

    /// The rows of a file, given by object and quality, that have a TARGETID.
    pub(super) fn contenders(
        &self,
        file: usize,
        rows: impl Iterator<Item = Option<(i64, Quality)>>,
    ) -> impl Iterator<Item = Contender> {
        let place = self.place[file];
        (0..).zip(rows).filter_map(move |(row, standing)| {
            let (target_id, quality) = standing?;
            Some(Contender { target_id, quality: Reverse(quality), place, row })
        })
    }

    /// Place of a file.
    pub(super) fn place(&self, file: usize) -> u32 {
        self.place[file]
    }

    /// Index of a contender's file.
    pub(super) fn file(&self, contender: &Contender) -> usize {
        self.index[contender.place as usize]
    }
}

/// Keeps the best contender of each object and returns the others.
pub(super) fn beaten(contenders: &mut Vec<Contender>) -> Vec<Contender> {
    contenders.sort_unstable();
    let mut beaten = Vec::new();
    contenders.dedup_by(|worse, better| {
        let is_same = worse.target_id == better.target_id;
        beaten.extend(is_same.then_some(*worse));
        is_same
    });
    beaten
}

/// Lets the best new rows of objects meet the primary rows of the registry: of each pair one is
/// demoted, in the registry or by being returned.
pub(super) async fn meet(
    best: &[Contender],
    places: &Places,
    candidates: &[Candidate],
    commit: &Commit<'_>,
) -> Result<Vec<Contender>, Error> {
    let ids: Vec<i64> = best.iter().map(|c| c.target_id).collect();
    let by_object: HashMap<i64, &Contender> = best.iter().map(|c| (c.target_id, c)).collect();
    let (mut beaten_new, mut beaten_old) = (Vec::new(), Vec::new());
    for old in commit.contested(&ids).await? {
        let Some(&new) = by_object.get(&old.target_id) else { continue };
        if beats(new, &candidates[places.file(new)], &old) {
            beaten_old.push(old.place);
        } else {
            beaten_new.push(*new);
        }
    }
    commit.demote(&beaten_old).await?;
    Ok(beaten_new)
}

/// Whether a new row comes before a registered one.
fn beats(new: &Contender, candidate: &Candidate, old: &ContestedRow) -> bool {
    let Reverse(quality) = new.quality;
    match quality.cmp(&Quality::new(old.zwarn_zero, old.tsnr2_lrg)) {
        Ordering::Greater => true,
        Ordering::Less => false,
        Ordering::Equal => {
            let old_tile = (
                last(old.release.as_deref()),
                last(old.survey.as_deref()),
                last(old.program.as_deref()),
                last(old.healpix),
            );
            (tile_order(candidate), candidate.file_id) < (old_tile, old.file_id)
        }
    }
}

/// Unknown comes last.
fn last<T>(value: Option<T>) -> (bool, Option<T>) {
    (value.is_none(), value)
}

/// What a tile is sorted by where rows are equally good; unknown comes last.
type TileOrder<'a> = (
    (bool, Option<&'a str>),
    (bool, Option<&'a str>),
    (bool, Option<&'a str>),
    (bool, Option<i32>),
);

fn tile_order(candidate: &Candidate) -> TileOrder<'_> {
    let tile = candidate.tile.as_ref();
    (
        last(tile.map(|t| t.release.as_str())),
        last(tile.map(|t| t.survey.as_str())),
        last(tile.map(|t| t.program.as_str())),
        last(tile.map(|t| t.pixel.get() as i32)),
    )
}

fn candidate_order(a: &Candidate, b: &Candidate) -> Ordering {
    tile_order(a).cmp(&tile_order(b)).then(a.file_id.cmp(&b.file_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_redshift_comes_before_signal() {
        let order = [
            Quality::new(false, None),
            Quality::new(false, Some(-1.0)),
            Quality::new(false, Some(-0.5)),
            Quality::new(false, Some(0.0)),
            Quality::new(false, Some(1e30)),
            Quality::new(true, Some(f32::NAN)),
            Quality::new(true, Some(f32::NEG_INFINITY)),
            Quality::new(true, Some(7.0)),
            Quality::new(true, Some(f32::INFINITY)),
        ];
        assert!(order.is_sorted_by(|a, b| a < b));
        assert_eq!(Quality::new(true, Some(-0.0)), Quality::new(true, Some(0.0)));
    }
}
