//! Which rows belong together, in a form that does not depend on how it was found.

use super::{Error, forest::Forest};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The mark of a row that belongs to no group, since it has no place.
pub const NONE: u32 = u32::MAX;

/// The components of a sample: the same whatever the threads, the order of work or the blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    first: Vec<u32>,
}

impl Components {
    /// Rows' components: those of the forest's members, which `row` names.
    pub(super) fn of(rows: usize, forest: &Forest, row: impl Fn(u32) -> u32 + Sync) -> Self {
        let members = forest.len() as u32;
        let smallest: Vec<AtomicU32> = (0..members).map(|_| AtomicU32::new(NONE)).collect();
        (0..members).into_par_iter().for_each(|member| {
            smallest[forest.root(member) as usize].fetch_min(row(member), Relaxed);
        });
        let first: Vec<AtomicU32> = (0..rows).map(|_| AtomicU32::new(NONE)).collect();
        (0..members).into_par_iter().for_each(|member| {
            let of = smallest[forest.root(member) as usize].load(Relaxed);
            first[row(member) as usize].store(of, Relaxed);
        });
        Self { first: first.into_iter().map(AtomicU32::into_inner).collect() }
    }

    /// The components of rows whose groups are known: of `group` for each row, none where it is alone.
    ///
    /// # Errors
    /// If there are more rows than 32 bits can number.
    pub fn of_groups(group: &[Option<i64>]) -> Result<Self, Error> {
        let rows = u32::try_from(group.len()).ok().filter(|rows| *rows < NONE);
        let rows = rows.ok_or(Error::TooMany(group.len()))?;
        let mut first: Vec<u32> = (0..rows).collect();
        let mut known = HashMap::new();
        for (row, group) in (0..rows).zip(group) {
            if let Some(group) = group {
                first[row as usize] = *known.entry(*group).or_insert(row);
            }
        }
        Ok(Self { first })
    }

    /// Takes its component from each row that has no place.
    pub(super) fn keep(&mut self, is_placed: &[bool]) {
        for (first, _) in self.first.iter_mut().zip(is_placed).filter(|(_, is_placed)| !**is_placed)
        {
            *first = NONE;
        }
    }

    /// For each row the smallest row of its component: itself if it is alone or first, [`NONE`] if it
    /// has no place.
    #[must_use]
    pub fn first(&self) -> &[u32] {
        &self.first
    }

    /// For each row how many its component has, 0 if it has no place.
    #[must_use]
    pub fn sizes(&self) -> Vec<u32> {
        let mut counts = vec![0_u32; self.first.len()];
        for first in self.first.iter().filter(|first| **first != NONE) {
            counts[*first as usize] += 1;
        }
        let size = |first: &u32| if *first == NONE { 0 } else { counts[*first as usize] };
        self.first.par_iter().map(size).collect()
    }

    /// For each row the identifier of its group: the smallest of its members' `ids` (`TARGETID`), None
    /// where a galaxy is alone or has no place. It does not depend on the order of rows.
    ///
    /// # Errors
    /// If there are not as many identifiers as rows.
    pub fn group_ids(&self, ids: &[i64]) -> Result<Vec<Option<i64>>, Error> {
        let expected = self.first.len();
        if ids.len() != expected {
            return Err(Error::Length { of: "identifier", expected, found: ids.len() });
        }
        let mut smallest = ids.to_vec();
        let mut is_group = vec![false; expected];
        for (row, first) in self.first.iter().enumerate() {
            let first = *first as usize;
            if first != row && first < expected {
                smallest[first] = smallest[first].min(ids[row]);
                is_group[first] = true;
            }
        }
        let id = |first: &u32| {
            let first = *first as usize;
            is_group.get(first).is_some_and(|is| *is).then(|| smallest[first])
        };
        Ok(self.first.par_iter().map(id).collect())
    }

    /// The groups of at least `least` members.
    #[must_use]
    pub fn members(&self, least: u32) -> Members {
        let sizes = self.sizes();
        let mut starts = vec![0];
        // where each group's next member goes, by its first row
        let mut next = vec![0_u32; self.first.len()];
        let mut total = 0;
        for (row, first) in self.first.iter().enumerate() {
            if *first as usize == row && sizes[row] >= least {
                next[row] = total;
                total += sizes[row];
                starts.push(total);
            }
        }
        let mut rows = vec![0; total as usize];
        for (row, first) in self.first.iter().enumerate() {
            if *first != NONE && sizes[row] >= least {
                let place = &mut next[*first as usize];
                rows[*place as usize] = row as u32;
                *place += 1;
            }
        }
        Members { starts, rows }
    }
}

/// Groups as lists of rows, by their first rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl Members {
    /// Number of groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are no groups.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows of each group, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.starts.windows(2).map(|ends| &self.rows[ends[0] as usize..ends[1] as usize])
    }
}
