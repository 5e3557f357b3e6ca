//! The tessellation while it grows: first four points in no plane, then the others, by one thread or
//! by several.

use super::Error;
use super::insert::{Inserter, Outcome, Region};
use super::predicates::{self, Point};
use super::store::{INFINITE, Store};
use crate::wanted::Wanted;

/// Cells that a point adds, about.
const CELLS_A_POINT: f64 = 6.77;

/// Points of a region, at least: so that few are near its surface.
const POINTS_A_REGION: usize = 160_000;

/// Cells over some of the points.
pub struct Build {
    pub points: Vec<Point>,
    pub store: Store,
    /// Unused cells, of which the last are used first.
    pub free: Vec<u32>,
    /// A cell near the next point.
    pub last: u32,
    /// Vertices with the coordinates of others.
    pub duplicates: Vec<[u32; 2]>,
    /// Points of a region, at least.
    pub points_a_region: usize,
}

impl Build {
    /// Makes the first cell. Its vertices are returned with it; if all points are in a plane, they are.
    pub fn start(points: Vec<Point>) -> Result<(Self, [u32; 4]), Vec<Point>> {
        let Some(first) = first_cell(&points) else { return Err(points) };
        let mut store = Store::with_room(cells_of(points.len()));
        store.grow(5);
        let view = store.view();
        let [a, b, c, d] = first;
        // the faces, as the infinite vertex sees them
        let cells = [
            first,
            [b, c, d, INFINITE],
            [a, d, c, INFINITE],
            [a, b, d, INFINITE],
            [a, c, b, INFINITE],
        ];
        for (id, cell) in (0..).zip(cells) {
            view.set_cell(id, cell);
            for slot in 0..4 {
                let is_face = |other: &[u32; 4]| {
                    (0..4).filter(|k| *k != slot).all(|k| other.contains(&cell[k]))
                        && *other != cell
                };
                let neighbour = (0..).zip(cells).find(|(_, other)| is_face(other));
                view.set_neighbour(id, slot, neighbour.map_or(0, |(id, _)| id));
            }
        }
        let build = Self {
            points,
            store,
            free: Vec::new(),
            last: 0,
            duplicates: Vec::new(),
            points_a_region: POINTS_A_REGION,
        };
        Ok((build, first))
    }

    /// Inserts all vertices but the first cell's, in rounds that end as given.
    ///
    /// # Errors
    ///
    /// [`Error::TooMany`] if there is no room for their cells; [`Error::Unwanted`].
    pub fn insert_rounds(
        &mut self,
        ends: &[usize],
        first: [u32; 4],
        wanted: Wanted<'_>,
    ) -> Result<(), Error> {
        let mut begin = 0;
        for end in ends.iter().map(|end| *end as u32) {
            let round = (begin..end).filter(|vertex| !first.contains(vertex));
            self.insert_by_regions(round.collect(), wanted)?;
            begin = end;
        }
        Ok(())
    }

    /// Numbers of cells, and of unused ones.
    pub fn ids(&self) -> std::ops::Range<u32> {
        0..self.store.cells.len() as u32
    }

    /// A cell, which may be an infinite one; none, if it is not used.
    pub fn cell(&self, id: u32) -> Option<[u32; 4]> {
        let view = self.store.view();
        let cell = view.cell(id);
        let inner = view.neighbours(id)[3];
        // unused cells are nobody's neighbours
        let is_used = cell[3] != INFINITE || view.neighbours(inner)[view.slot_of(inner, id)] == id;
        is_used.then_some(cell)
    }

    /// Inserts vertices one after another.
    ///
    /// # Errors
    ///
    /// [`Error::TooMany`] if there is no room for their cells.
    pub fn insert(&mut self, mut vertices: &[u32]) -> Result<(), Error> {
        let mut fresh = 0..0;
        loop {
            let view = self.store.view();
            let mut inserter = Inserter::new(&self.points, view, Region::ALL, self.last);
            inserter.free.append(&mut self.free);
            inserter.fresh = std::mem::take(&mut fresh);
            let mut is_full = false;
            while let Some((vertex, rest)) = vertices.split_first() {
                match inserter.insert(*vertex) {
                    Outcome::Duplicate(of) => self.duplicates.push([*vertex, of]),
                    Outcome::Full => {
                        is_full = true;
                        break;
                    }
                    // the region is all of space
                    Outcome::Inserted | Outcome::Beyond => {}
                }
                vertices = rest;
            }
            self.last = inserter.last;
            self.free = inserter.into_unused();
            if !is_full {
                return Ok(());
            }
            fresh = self.store.grow(cells_of(vertices.len()));
            if fresh.is_empty() {
                return Err(Error::TooMany(self.points.len()));
            }
        }
    }
}

/// Room for the cells of so many more points.
pub fn cells_of(points: usize) -> usize {
    (points as f64 * CELLS_A_POINT) as usize + 256
}

/// The first four points that are in no plane, in positive orientation.
fn first_cell(points: &[Point]) -> Option<[u32; 4]> {
    let (a, rest) = points.split_first()?;
    let find = |is: &dyn Fn(&Point) -> bool| Some(rest.iter().position(is)? + 1);
    let second = find(&|point| point != a)?;
    let b = &points[second];
    let third = find(&|point| !predicates::is_line(a, b, point))?;
    let c = &points[third];
    let fourth = find(&|point| predicates::orient(a, b, c, point) != 0.0)?;
    let [i, j, k] = [second, third, fourth].map(|index| index as u32);
    Some(if predicates::orient(a, b, c, &points[fourth]) > 0.0 {
        [0, i, j, k]
    } else {
        [0, j, i, k]
    })
}
