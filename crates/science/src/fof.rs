//! Friends of friends: which galaxies are linked, directly or through others.
//!
//! In redshift space two galaxies are linked if their chord on the unit sphere and the difference of
//! their comoving distances are both within the means of the two galaxies' linking lengths ([`lengths`];
//! Robotham et al. 2011, arXiv:1106.1994; Nessie). In real space ([`link_isotropic`]) they are linked
//! within one length. Components of these links are the groups.
//!
//! Directions are unit vectors in a tree, so that poles and RA 0 are places as others are. The tree is
//! walked against itself by all threads, which join components as they find links; no list of pairs is
//! kept, and what is already of one component is not looked at again: samples that are dense by the
//! linking length cost no more than others. The answer is that of all pairs, compared one by one in f64.

mod blocks;
mod components;
mod forest;
pub mod lengths;
mod walk;

#[cfg(test)]
mod tests;

pub use blocks::{Blocks, margin};
pub use components::{Components, Members, NONE};

use crate::cosmology::direction;
use crate::kd::{Point, Tree};
use forest::Forest;
use rayon::prelude::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use thiserror::Error;
use walk::{Visit, Walk};

/// Why nothing was linked.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum Error {
    /// Arrays of one sample are not equally long.
    #[error("{expected} galaxies, but {found} values of {of}")]
    Length {
        /// What there are too few or too many of.
        of: &'static str,
        /// Number of galaxies.
        expected: usize,
        /// Number of values.
        found: usize,
    },
    /// More rows than 32 bits can number.
    #[error("{0} rows in one sample: at most 4294967294 are linked at once")]
    TooMany(usize),
    /// A linking length in space that is not a number, or negative.
    #[error("linking length {0}")]
    LinkingLength(f64),
    /// A block names a row that the survey does not have.
    #[error("row {row} in a block of a survey of {rows} rows")]
    Row {
        /// The row.
        row: u32,
        /// Rows in the survey.
        rows: usize,
    },
}

/// A sample in redshift space, an entry per galaxy in each array.
///
/// A galaxy with an entry that is not a finite number, a declination beyond ±90°, a distance that is not
/// positive or a negative length is linked to none, and belongs to no group.
#[derive(Clone, Copy, Debug)]
pub struct Galaxies<'a> {
    /// Right ascension, degrees.
    pub ra_deg: &'a [f64],
    /// Declination, degrees.
    pub dec_deg: &'a [f64],
    /// Comoving distance at the redshift, Mpc.
    pub distance: &'a [f64],
    /// Linking length on the sky: a chord on the unit sphere, which small angles in radian are.
    pub across: &'a [f64],
    /// Linking length along the line of sight, comoving Mpc.
    pub along: &'a [f64],
}

/// Groups of galaxies in redshift space.
///
/// # Errors
/// If the arrays differ in length or are too long.
pub fn link(galaxies: Galaxies<'_>) -> Result<Components, Error> {
    Ok(Sample::of(galaxies)?.components())
}

/// Groups of positions (comoving Mpc, or any one unit): two are linked if no farther apart than `length`.
/// A position that is not finite belongs to no group.
///
/// # Errors
/// If the length is not a finite number from 0, or there are too many positions.
pub fn link_isotropic(positions: &[[f64; 3]], length: f64) -> Result<Components, Error> {
    if !(length >= 0.0 && length.is_finite()) {
        return Err(Error::LinkingLength(length));
    }
    let place = |row: usize| {
        let [x, y, z] = positions[row];
        positions[row].iter().all(|x| x.is_finite()).then_some([x, y, z, 0.0])
    };
    Ok(Sample::new(positions.len(), place, |_| [length, 0.0])?.components())
}

/// Shows each pair of linked galaxies to `visit` once, by their rows, in no order and from all threads.
/// There may be as many as pairs of galaxies: [`link`] does not need them.
///
/// # Errors
/// As [`link`].
pub fn visit_links(galaxies: Galaxies<'_>, visit: impl Fn(u32, u32) + Sync) -> Result<(), Error> {
    let sample = Sample::of(galaxies)?;
    let row = |member: u32| sample.tree.points[member as usize].row;
    let visit = Visit(|a, b| visit(row(a), row(b)));
    Walk::new(&sample.tree, &sample.lengths, &visit).run();
    Ok(())
}

/// Number of linked pairs.
///
/// # Errors
/// As [`link`].
pub fn count_links(galaxies: Galaxies<'_>) -> Result<u64, Error> {
    let count = AtomicU64::new(0);
    visit_links(galaxies, |_, _| {
        count.fetch_add(1, Relaxed);
    })?;
    Ok(count.into_inner())
}

/// All pairs of linked galaxies, the smaller row first, in order of rows: for comparison with others.
///
/// # Errors
/// As [`link`].
pub fn links(galaxies: Galaxies<'_>) -> Result<Vec<[u32; 2]>, Error> {
    let found = Mutex::new(Vec::new());
    visit_links(galaxies, |a, b| {
        let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        found.push([a.min(b), a.max(b)]);
    })?;
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.par_sort_unstable();
    Ok(found)
}

/// The usable rows of a sample, in a tree.
struct Sample {
    rows: usize,
    tree: Tree,
    /// Linking lengths of the tree's points: transverse, line of sight.
    lengths: Vec<[f64; 2]>,
}

impl Sample {
    fn of(galaxies: Galaxies<'_>) -> Result<Self, Error> {
        let Galaxies { ra_deg, dec_deg, distance, across, along } = galaxies;
        let lengths = [
            ("declination", dec_deg),
            ("distance", distance),
            ("linking length on the sky", across),
            ("linking length along the line of sight", along),
        ];
        for (of, values) in lengths {
            if values.len() != ra_deg.len() {
                return Err(Error::Length { of, expected: ra_deg.len(), found: values.len() });
            }
        }
        let place = |row: usize| {
            let [x, y, z] = direction(ra_deg[row], dec_deg[row]);
            let at = [x, y, z, distance[row]];
            let is_placed = at.iter().all(|x| x.is_finite()) && at[3] > 0.0;
            let has_length = |length: f64| length >= 0.0 && length.is_finite();
            (is_placed && has_length(across[row]) && has_length(along[row])).then_some(at)
        };
        Self::new(ra_deg.len(), place, |row| [across[row], along[row]])
    }

    /// `place` gives a row's coordinates, if it has any, and `lengths` its linking lengths.
    fn new(
        rows: usize,
        place: impl Fn(usize) -> Option<[f64; 4]> + Sync,
        lengths: impl Fn(usize) -> [f64; 2] + Sync,
    ) -> Result<Self, Error> {
        if rows >= NONE as usize {
            return Err(Error::TooMany(rows));
        }
        let point = |row| Some(Point { at: place(row as usize)?, row });
        let points = (0..rows as u32).into_par_iter().filter_map(point).collect();
        let scale = |row| {
            let [across, along] = lengths(row as usize).map(|length| length.max(f64::MIN_POSITIVE));
            across / along
        };
        let tree = Tree::new(points, scale);
        let lengths = tree.points.par_iter().map(|point| lengths(point.row as usize)).collect();
        Ok(Self { rows, tree, lengths })
    }

    fn components(self) -> Components {
        let Self { rows, tree, lengths } = self;
        let forest = Forest::new(tree.points.len() as u32);
        Walk::new(&tree, &lengths, &forest).run();
        drop(lengths);
        Components::of(rows, &forest, |member| tree.points[member as usize].row)
    }
}
