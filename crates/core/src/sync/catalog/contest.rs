//! Which row of an object is the primary one.
//!
//! Of all rows with one TARGETID: a good redshift (zwarn = 0) before a bad one, then the larger
//! `tsnr2_lrg`, then the tile that comes first by release, survey, program and pixel, then the file
//! that was registered first, then the row that comes first. New rows compete among themselves
//! here; the best of each object then meets the registry's primary row.

use super::columns::{self, Failure, RANKING, value};
use super::{Candidate, candidate_order};
use crate::registry::{Commit, ContestedRow, Error};
use rayon::prelude::*;
use std::cmp::{Ordering, Reverse};
use std::collections::HashSet;
use std::path::Path;

/// Objects looked up at a time.
const LOOKUP: usize = 50_000;

/// How good a row is: larger is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Quality(u64);

impl Quality {
    fn new(zwarn_zero: bool, tsnr2_lrg: Option<f32>) -> Self {
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
struct Contender {
    target_id: i64,
    quality: Reverse<Quality>,
    /// Place of the file in the order of ties.
    place: u32,
    row: u32,
}

/// The primary rows of new files.
#[derive(Debug, Default)]
pub(super) struct Primaries {
    /// By candidate, by row.
    rows: Vec<Vec<bool>>,
    /// The best new row of each object.
    best: Vec<Contender>,
    /// Candidate at each place.
    at: Vec<usize>,
    /// Candidates whose rows could not be read.
    pub(super) failures: Vec<(usize, Failure)>,
}

impl Primaries {
    /// Lets the rows of new files compete among themselves.
    pub(super) fn among(root: &Path, candidates: &[Candidate]) -> Self {
        let mut at: Vec<usize> = (0..candidates.len()).collect();
        at.sort_by(|&a, &b| candidate_order(&candidates[a], &candidates[b]));
        let read: Vec<_> = at
            .par_iter()
            .enumerate()
            .map(|(place, &index)| contenders(root, &candidates[index], place))
            .collect();
        let mut primaries = Self { at, ..Self::default() };
        let mut contenders = Vec::new();
        for (place, rows) in read.into_iter().enumerate() {
            match rows {
                Ok(rows) => contenders.extend(rows),
                Err(failure) => primaries.failures.push((primaries.at[place], failure)),
            }
        }
        contenders.par_sort_unstable();
        contenders.dedup_by_key(|c| c.target_id);
        let rows = |c: &Candidate| usize::try_from(c.num_rows).unwrap_or(0);
        primaries.rows = candidates.iter().map(|c| vec![false; rows(c)]).collect();
        for best in &contenders {
            primaries.set(best, true);
        }
        primaries.best = contenders;
        primaries
    }

    /// Whether a row of a candidate is primary.
    pub(super) fn is_primary(&self, candidate: usize, row: usize) -> bool {
        self.rows.get(candidate).and_then(|rows| rows.get(row)).copied().unwrap_or(false)
    }

    fn set(&mut self, contender: &Contender, primary: bool) {
        let candidate = self.at.get(contender.place as usize).copied().unwrap_or(usize::MAX);
        let rows = self.rows.get_mut(candidate);
        if let Some(row) = rows.and_then(|rows| rows.get_mut(contender.row as usize)) {
            *row = primary;
        }
    }

    /// Lets the best new rows meet the primary rows of the registry: of each pair one is demoted.
    pub(super) async fn meet(
        &mut self,
        candidates: &[Candidate],
        commit: &Commit<'_>,
    ) -> Result<(), Error> {
        let best = std::mem::take(&mut self.best);
        for contenders in best.chunks(LOOKUP) {
            let ids: Vec<i64> = contenders.iter().map(|c| c.target_id).collect();
            let mut beaten = HashSet::new();
            for old in commit.contested(&ids).await? {
                let Ok(found) = contenders.binary_search_by_key(&old.target_id, |c| c.target_id)
                else {
                    continue;
                };
                let new = &contenders[found];
                let candidate = self.at.get(new.place as usize).and_then(|&i| candidates.get(i));
                if candidate.is_some_and(|candidate| beats(new, candidate, &old)) {
                    beaten.insert(old.target_id);
                } else {
                    self.set(new, false);
                }
            }
            if !beaten.is_empty() {
                commit.demote(&beaten.into_iter().collect::<Vec<_>>()).await?;
            }
        }
        Ok(())
    }
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
            candidate.tile_order() < old_tile
        }
    }
}

/// Unknown comes last.
pub(super) fn last<T>(value: Option<T>) -> (bool, Option<T>) {
    (value.is_none(), value)
}

fn contenders(root: &Path, candidate: &Candidate, place: usize) -> Result<Vec<Contender>, Failure> {
    let place = u32::try_from(place).unwrap_or(u32::MAX);
    columns::read(root, candidate, &RANKING, |made: &mut Vec<Contender>, batch, first_row| {
        let ids = batch.int64s("target_id");
        let (zwarn, tsnr2_lrg) = (batch.int64s("zwarn"), batch.float32s("tsnr2_lrg"));
        for row in 0..batch.num_rows() {
            let Some(target_id) = value(ids.as_ref(), row) else { continue };
            let zwarn_zero = value(zwarn.as_ref(), row) == Some(0);
            let quality = Quality::new(zwarn_zero, value(tsnr2_lrg.as_ref(), row));
            let row = u32::try_from(first_row + row).unwrap_or(u32::MAX);
            made.push(Contender { target_id, quality: Reverse(quality), place, row });
        }
    })
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
