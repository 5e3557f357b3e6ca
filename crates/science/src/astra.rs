//! Void, sheet, filament or knot: the web class of galaxies by ASTRA (Forero-Romero 2024, arXiv
//! 2404.01124).
//!
//! Galaxies and as many random points are tessellated together. Of a galaxy's neighbours in the mesh
//! `d` are galaxies and `r` are random, and
//!
//! ```text
//! contrast = (d − r) / (d + r)      void ≤ −0.9 < sheet ≤ 0 < filament ≤ 0.9 < knot
//! ```
//!
//! With other random points it is done again; how often a class came up is its probability, and the most
//! probable one is the galaxy's, the emptier one of two.
//!
//! ```
//! use bifrost_science::astra::{Space, Uniform, classify};
//!
//! let volume = Uniform { low: [0.0; 3], high: [1.0; 3], seed: 1 };
//! let galaxies = Uniform { seed: 2, ..volume }.points(0, 200);
//! let webs = classify(&galaxies, Space::Open, 5, |realisation, count| volume.points(realisation, count))?;
//! assert!(webs.iter().all(|web| web.probabilities().is_some_and(|p| p.iter().sum::<f64>() > 0.99)));
//! # Ok::<(), bifrost_science::astra::Error>(())
//! ```

mod periodic;
#[cfg(test)]
mod tests;

use crate::boxes::Boxes;
use crate::delaunay::{self, Block, Delaunay, Place};
use rayon::prelude::*;

/// Greatest contrast of voids, sheets and filaments.
pub const THRESHOLDS: [f64; 3] = [-0.9, 0.0, 0.9];

/// Why there are no classes.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Error {
    /// Points that have no mesh.
    #[error(transparent)]
    Delaunay(#[from] delaunay::Error),
    /// Not as many random points as galaxies.
    #[error("{found} random points were drawn, not {expected}")]
    Randoms {
        /// How many there are.
        found: usize,
        /// How many galaxies there are.
        expected: usize,
    },
    /// A point beyond the periodic box.
    #[error("point {0} is beyond the periodic box")]
    Outside(usize),
}

/// What a galaxy is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Emptier than a tenth.
    Void = 0,
    /// A wall.
    Sheet = 1,
    /// A filament.
    Filament = 2,
    /// Where filaments meet.
    Knot = 3,
}

impl Class {
    /// All, from empty to dense.
    pub const ALL: [Self; 4] = [Self::Void, Self::Sheet, Self::Filament, Self::Knot];

    /// The class of a contrast.
    #[must_use]
    pub fn of(contrast: f64) -> Self {
        let passed = THRESHOLDS.iter().filter(|threshold| contrast > **threshold).count();
        Self::ALL[passed]
    }
}

/// In how many realisations a galaxy was of each class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Web {
    /// For void, sheet, filament, knot.
    pub counts: [u32; 4],
}

impl Web {
    pub(crate) fn count(&mut self, class: Option<Class>) {
        if let Some(class) = class {
            self.counts[class as usize] += 1;
        }
    }

    /// The probability of each class; none, if the galaxy was in no mesh.
    #[must_use]
    pub fn probabilities(&self) -> Option<[f64; 4]> {
        let all: u32 = self.counts.iter().sum();
        (all > 0).then(|| self.counts.map(|count| f64::from(count) / f64::from(all)))
    }

    /// The most probable class, the emptier one of two; none, if the galaxy was in no mesh.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        let most = self.counts.iter().max().filter(|most| **most > 0)?;
        let at = self.counts.iter().position(|count| count == most)?;
        Class::ALL.get(at).copied()
    }
}

/// What is around the points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Space {
    /// Nothing.
    Open,
    /// The same points again: a box with its low faces and without its high ones.
    Periodic {
        /// Least coordinates.
        low: [f64; 3],
        /// Greatest ones.
        high: [f64; 3],
    },
}

/// Classifies galaxies. Of each realisation, counted from 0, `randoms` returns as many points as it is
/// asked for, which follow the survey's mask and selection.
///
/// # Errors
///
/// [`Error::Delaunay`] for coordinates that are no numbers, [`Error::Randoms`] and [`Error::Outside`].
pub fn classify(
    galaxies: &[[f64; 3]],
    space: Space,
    realisations: u32,
    randoms: impl Fn(u32, usize) -> Vec<[f64; 3]>,
) -> Result<Vec<Web>, Error> {
    let mut webs = vec![Web::default(); galaxies.len()];
    for realisation in 0..realisations {
        let drawn = randoms(realisation, galaxies.len());
        if drawn.len() != galaxies.len() {
            return Err(Error::Randoms { found: drawn.len(), expected: galaxies.len() });
        }
        let points = [galaxies, &drawn].concat();
        let contrasts = match space {
            Space::Open => open(&points, galaxies.len())?,
            Space::Periodic { low, high } => {
                periodic::contrasts(&points, galaxies.len(), low, high)?
            }
        };
        for (web, contrast) in webs.iter_mut().zip(contrasts) {
            web.count(contrast.map(Class::of));
        }
    }
    Ok(webs)
}

/// The contrasts of the first `galaxies` of points.
pub(crate) fn open(points: &[[f64; 3]], galaxies: usize) -> Result<Vec<Option<f64>>, Error> {
    let made = Delaunay::new(points)?;
    let is_galaxy = |vertex: u32| (vertex as usize) < galaxies;
    let mut contrasts = contrasts(made.mesh().cells, galaxies, is_galaxy);
    copy(&mut contrasts, made.duplicates());
    Ok(contrasts)
}

/// Gives points what the one has in whose place they are.
pub(crate) fn copy<T: Copy>(values: &mut [T], duplicates: &[[u32; 2]]) {
    for [point, of] in duplicates {
        if let Some(value) = values.get(*of as usize).copied()
            && let Some(own) = values.get_mut(*point as usize)
        {
            *own = value;
        }
    }
}

/// The classes of the galaxies in a block of all points, which are in `boxes` and have the numbers `ids`,
/// those of galaxies below `galaxies`. What it says of other blocks' galaxies means nothing.
pub(crate) fn within(
    boxes: &Boxes<'_>,
    ids: &[u32],
    place: Place,
    galaxies: usize,
) -> Result<Vec<Option<Class>>, Error> {
    let part = Block::cells(boxes, ids, place)?;
    let is_galaxy = |vertex: u32| (part.ids[vertex as usize] as usize) < galaxies;
    let first = part.ids.partition_point(|id| (*id as usize) < galaxies);
    let mut all = vec![None; galaxies];
    let near = contrasts(&part.cells, first, is_galaxy);
    part.ids.iter().zip(near).for_each(|(id, near)| all[*id as usize] = near.map(Class::of));
    copy(&mut all, &part.duplicates);
    Ok(all)
}

/// The contrast of each of the first vertices, so many as there are `galaxies`; none for those in no cell.
fn contrasts(
    cells: &[[u32; 4]],
    galaxies: usize,
    is_galaxy: impl Fn(u32) -> bool + Sync,
) -> Vec<Option<f64>> {
    // the cells of galaxy k: from ends[k] to ends[k + 1]
    let own = || cells.iter().enumerate().flat_map(|(id, cell)| cell.iter().map(move |v| (id, *v)));
    let mut ends = vec![0usize; galaxies + 1];
    for (_, vertex) in own().filter(|(_, vertex)| (*vertex as usize) < galaxies) {
        ends[vertex as usize + 1] += 1;
    }
    for k in 0..galaxies {
        ends[k + 1] += ends[k];
    }
    let mut next = ends.clone();
    let mut around = vec![0u32; ends[galaxies]];
    for (id, vertex) in own().filter(|(_, vertex)| (*vertex as usize) < galaxies) {
        around[next[vertex as usize]] = id as u32;
        next[vertex as usize] += 1;
    }
    let contrast = |neighbours: &mut Vec<u32>, galaxy: usize| {
        neighbours.clear();
        let cells = around[ends[galaxy]..ends[galaxy + 1]].iter().map(|id| cells[*id as usize]);
        neighbours.extend(cells.flatten().filter(|vertex| *vertex as usize != galaxy));
        neighbours.sort_unstable();
        neighbours.dedup();
        let near = neighbours.iter().filter(|vertex| is_galaxy(**vertex)).count();
        let all = neighbours.len() as f64;
        (all > 0.0).then(|| (2.0 * near as f64 - all) / all)
    };
    (0..galaxies).into_par_iter().map_init(Vec::new, contrast).collect()
}

/// Random points of a box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uniform {
    /// Least coordinates.
    pub low: [f64; 3],
    /// Greatest ones.
    pub high: [f64; 3],
    /// Decides which points.
    pub seed: u64,
}

impl Uniform {
    /// Points of a realisation: the same ones whenever they are asked for.
    #[must_use]
    pub fn points(&self, realisation: u32, count: usize) -> Vec<[f64; 3]> {
        let stream = mixed(mixed(self.seed) ^ u64::from(realisation));
        let draw = |number: u64, axis: usize| {
            let bits = mixed(stream ^ mixed(3 * number + axis as u64));
            let unit = (bits >> 11) as f64 / (1u64 << 53) as f64;
            self.low[axis] + (self.high[axis] - self.low[axis]) * unit
        };
        (0..count as u64).map(|number| [0, 1, 2].map(|axis| draw(number, axis))).collect()
    }
}

/// Bits that look random: a step and the finaliser of `SplitMix64` (Steele, Lea & Flood 2014).
fn mixed(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
