//! Delaunay tetrahedra of points in space: no tetrahedron's circumsphere has a point in it.
//!
//! Points are inserted one by one (Bowyer 1981, Watson 1981), in random rounds along Hilbert's curve, with
//! exact predicates. Where five points are on a sphere, a symbolic perturbation by the points' coordinates
//! decides, so that the *set* of cells is determined by the points: by neither their order nor that of
//! insertion, nor threads, nor blocks. The order of cells depends on the points and their order alone;
//! [`Delaunay::sort`] makes it one of the cells.
//!
//! ```text
//! points     0 or of magnitude 1e-40 to 1e40, or there is an error
//! cells      positive: (b − a) · (c − a) × (d − a) > 0; 32 bytes each with their neighbours
//! duplicates are not in the mesh: the first of them, by number, stands for all
//! in a plane, on a line, or less than four: no cells
//! ```
//!
//! What is too large for memory is made in blocks, each of its own points and some around it: [`Block`].
//!
//! ```
//! use bifrost_science::delaunay::Delaunay;
//!
//! let points = [[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0; 3], [0.0; 3]];
//! let made = Delaunay::new(&points)?;
//! assert_eq!(made.mesh().cells.len(), 2);
//! assert_eq!((made.duplicate_of(5), made.duplicate_of(4)), (Some(0), None));
//! # Ok::<(), bifrost_science::delaunay::Error>(())
//! ```

mod ball;
mod block;
mod build;
mod canonical;
mod edges;
mod finish;
mod gather;
mod insert;
mod order;
mod parallel;
mod predicates;
mod store;
#[cfg(test)]
mod tests;

pub use ball::Want;
pub use block::{Block, Part, Place};
pub use insert::Region;

use crate::mesh::Mesh;
use crate::wanted::{Unwanted, Wanted};
use build::Build;
use predicates::Point;
use rayon::prelude::*;

/// Greatest and least magnitude of a coordinate (unless it is 0), beyond which products of five of them
/// are not exact.
pub const MAGNITUDES: [f64; 2] = [1e-40, 1e40];

/// Why there are no tetrahedra.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Error {
    /// A coordinate that is no number, or too great or small.
    #[error(
        "point {index} has a coordinate {value:?}: it is to be 0 or of magnitude 1e-40 to 1e40"
    )]
    Coordinate {
        /// Of the point.
        index: usize,
        /// The coordinate.
        value: f64,
    },
    /// More points, or cells, than have numbers.
    #[error("too many: {0} points")]
    TooMany(usize),
    /// Points without numbers, or the other way round.
    #[error("{points} points have {numbers} numbers")]
    Numbers {
        /// How many points.
        points: usize,
        /// How many numbers.
        numbers: usize,
    },
    /// It was given up.
    #[error(transparent)]
    Unwanted(#[from] Unwanted),
    /// A block wants to see more points.
    #[error("{0} cells of the block are not certain: it wants to see more points")]
    Uncertain(usize),
}

/// The tessellation of points.
#[derive(Debug, Clone, PartialEq)]
pub struct Delaunay<'a> {
    vertices: &'a [Point],
    cells: Vec<[u32; 4]>,
    neighbours: Vec<[u32; 4]>,
    duplicates: Vec<[u32; 2]>,
}

impl<'a> Delaunay<'a> {
    /// Makes it, with the threads of the current rayon pool, however many: the result is the same to the
    /// last bit.
    ///
    /// # Errors
    ///
    /// [`Error::Coordinate`] and [`Error::TooMany`].
    pub fn new(points: &'a [Point]) -> Result<Self, Error> {
        Self::while_wanted(points, Wanted::ALWAYS)
    }

    /// [`Self::new`], which is given up soon after nobody wants it any more.
    ///
    /// # Errors
    ///
    /// As [`Self::new`]; and [`Error::Unwanted`].
    pub fn while_wanted(points: &'a [Point], wanted: Wanted<'_>) -> Result<Self, Error> {
        check(points)?;
        let order = order::order(points);
        let sorted = order.indices.par_iter().map(|index| points[*index as usize]).collect();
        let Ok((mut build, first)) = Build::start(sorted) else {
            return Ok(finish::flat(points));
        };
        build.insert_rounds(&order.ends, first, wanted)?;
        Ok(finish::finish(points, build, &order.indices))
    }

    /// Puts cells, and vertices of cells, into an order that depends on nothing but the points.
    pub fn sort(&mut self) {
        canonical::sort(&mut self.cells, &mut self.neighbours);
    }

    /// Puts cells in the order of their vertices with the lowest numbers: of points along a curve through
    /// space, cells that are near each other then lie near each other in memory, and walks from cell to cell
    /// take half the time. In place, with 4 bytes a cell beside.
    pub fn gather(&mut self) {
        gather::gather(&mut self.cells, &mut self.neighbours, self.vertices.len());
    }

    /// The first point, by number, with the coordinates of this one; none, if it is that point itself.
    #[must_use]
    pub fn duplicate_of(&self, point: u32) -> Option<u32> {
        let found = self.duplicates.binary_search_by_key(&point, |pair| pair[0]);
        found.ok().map(|at| self.duplicates[at][1])
    }

    /// Points that are not in the mesh, each with the one in its place, which has a lower number.
    #[must_use]
    pub fn duplicates(&self) -> &[[u32; 2]] {
        &self.duplicates
    }

    /// The mesh.
    #[must_use]
    pub fn mesh(&self) -> Mesh<'_> {
        Mesh { vertices: self.vertices, cells: &self.cells, neighbours: &self.neighbours }
    }
}

pub(crate) fn check(points: &[Point]) -> Result<(), Error> {
    if points.len() > store::MOST_POINTS {
        return Err(Error::TooMany(points.len()));
    }
    let [least, greatest] = MAGNITUDES;
    let is_bad = |value: &f64| *value != 0.0 && !(least..=greatest).contains(&value.abs());
    let bad = |(index, point): (usize, &Point)| {
        point
            .iter()
            .find(|value| is_bad(value))
            .map(|value| Error::Coordinate { index, value: *value })
    };
    points.par_iter().enumerate().find_map_first(bad).map_or(Ok(()), Err)
}
