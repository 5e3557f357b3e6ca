//! Insertion of a point (Bowyer 1981, Watson 1981): the cells whose circumspheres hold it make way for
//! cells that join it to the faces of the cavity.

use super::edges::Edges;
use super::predicates::{self, Cell, Hollow, Point};
use super::store::{INFINITE, View};
use std::ops::Range;

/// A part of space with its low faces and without its high ones. Cells that have all vertices in it are
/// changed by the thread that has the region, and by no other; cells that reach beyond stay as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Its least coordinates.
    pub low: [f64; 3],
    /// Its greatest ones, which are beyond it.
    pub high: [f64; 3],
}

impl Region {
    /// All of space.
    pub const ALL: Self = Self { low: [f64::NEG_INFINITY; 3], high: [f64::INFINITY; 3] };

    /// Whether a point is in it.
    #[inline(always)]
    #[must_use]
    pub fn has(&self, point: &Point) -> bool {
        // all six, since branches would cost more
        let is_in = |k: usize| (self.low[k] <= point[k]) & (point[k] < self.high[k]);
        is_in(0) & is_in(1) & is_in(2)
    }
}

/// What became of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    Inserted,
    /// It has the coordinates of this vertex.
    Duplicate(u32),
    /// Its cavity reaches beyond the region.
    Beyond,
    /// It needs more unused cells than there are.
    Full,
}

/// A face of the cavity.
#[derive(Clone, Copy)]
struct Face {
    /// Vertices of the cell within, whose slot is to be the new point's.
    cell: [u32; 4],
    slot: u8,
    /// Where the cell beyond has the cell within as neighbour.
    outer_slot: u8,
    outer: u32,
}

/// Inserts points into the cells of a region.
pub struct Inserter<'a> {
    points: &'a [Point],
    view: View<'a>,
    region: Region,
    is_all: bool,
    /// Unused cells: first these, from the end on,
    pub free: Vec<u32>,
    /// then these.
    pub fresh: Range<u32>,
    /// A cell near the next point.
    pub last: u32,
    cavity: Vec<u32>,
    faces: Vec<Face>,
    edges: Edges,
}

impl<'a> Inserter<'a> {
    pub fn new(points: &'a [Point], view: View<'a>, region: Region, last: u32) -> Self {
        Self {
            points,
            view,
            region,
            is_all: region == Region::ALL,
            free: Vec::new(),
            fresh: 0..0,
            last,
            cavity: Vec::new(),
            faces: Vec::new(),
            edges: Edges::default(),
        }
    }

    #[inline(always)]
    fn point(&self, vertex: u32) -> &'a Point {
        &self.points[vertex as usize]
    }

    #[inline(always)]
    fn positions(&self, cell: [u32; 4]) -> [&'a Point; 4] {
        [self.point(cell[0]), self.point(cell[1]), self.point(cell[2]), self.point(cell[3])]
    }

    /// Cells that were not used, of which the last are to be used first.
    pub fn into_unused(self) -> Vec<u32> {
        let mut unused: Vec<u32> = self.fresh.rev().collect();
        unused.extend(self.free);
        unused
    }

    /// Inserts a point.
    pub fn insert(&mut self, vertex: u32) -> Outcome {
        let point = self.point(vertex);
        let start = match self.locate(point) {
            Ok(cell) => cell,
            Err(outcome) => return outcome,
        };
        if !self.dig(start, point) {
            self.fill_up_again();
            return Outcome::Beyond;
        }
        if self.free.len() + self.cavity.len() + self.fresh.len() < self.faces.len() {
            self.fill_up_again();
            return Outcome::Full;
        }
        self.join(vertex);
        Outcome::Inserted
    }

    /// A cell that a vertex is in, or an infinite one beside it.
    pub fn cell_of(&self, vertex: u32) -> Option<u32> {
        self.locate(self.point(vertex)).ok()
    }

    /// Walks to the cell that a point is in, which its circumsphere holds then, too.
    fn locate(&self, point: &Point) -> Result<u32, Outcome> {
        let (mut at, mut from) = (self.last, u32::MAX);
        if self.view.cell(at)[3] == INFINITE {
            at = self.view.neighbours(at)[3];
        }
        loop {
            let cell = self.view.cell(at);
            if cell[3] == INFINITE {
                return if self.is_all { Ok(at) } else { Err(Outcome::Beyond) };
            }
            let positions = self.positions(cell);
            let seen = Cell::seen(positions, point);
            let is_mine = self.is_mine(positions);
            if !is_mine && !positions.iter().any(|position| self.region.has(position)) {
                return Err(Outcome::Beyond);
            }
            match self.way_out(&seen, positions, point, at, from) {
                Some(next) => (from, at) = (at, next),
                None => {
                    let same = positions.iter().position(|position| *position == point);
                    return match same {
                        Some(k) => Err(Outcome::Duplicate(cell[k])),
                        None if is_mine => Ok(at),
                        None => Err(Outcome::Beyond),
                    };
                }
            }
        }
    }

    /// The neighbour behind a face that has the point on its other side.
    #[inline(always)]
    fn way_out(
        &self,
        seen: &Cell,
        positions: [&Point; 4],
        point: &Point,
        at: u32,
        from: u32,
    ) -> Option<u32> {
        let (volumes, error) = (seen.replaced(), seen.replaced_error());
        let neighbours = self.view.neighbours(at);
        for k in 0..4 {
            if volumes[k] > error || neighbours[k] == from {
                continue;
            }
            if volumes[k] < -error || is_behind(k, positions, point) {
                return Some(neighbours[k]);
            }
        }
        None
    }

    #[inline(always)]
    fn is_mine(&self, positions: [&Point; 4]) -> bool {
        self.is_all || positions.iter().all(|position| self.region.has(position))
    }

    /// Collects the cells whose circumspheres hold the point, and the faces around them; false if one of
    /// the cells is not this region's.
    #[inline(always)]
    fn dig(&mut self, start: u32, point: &Point) -> bool {
        self.cavity.clear();
        self.faces.clear();
        self.cavity.push(start);
        self.view.mark(start, true);
        let mut next = 0;
        while let Some(&at) = self.cavity.get(next) {
            next += 1;
            let is_whole = match self.view.cell(at) {
                cell if cell[3] == INFINITE => self.dig_around_infinite(at, cell, point),
                cell => self.dig_around(at, cell, point),
            };
            if !is_whole {
                return false;
            }
        }
        true
    }

    /// The neighbours of a finite cell.
    #[inline(always)]
    fn dig_around(&mut self, at: u32, cell: [u32; 4], point: &Point) -> bool {
        let hollow = Hollow::seen(self.positions(cell), point);
        let neighbours = self.view.neighbours(at);
        let all = cell[0] ^ cell[1] ^ cell[2] ^ cell[3];
        for slot in 0..4 {
            let outer = neighbours[slot];
            if self.view.is_marked(outer) {
                continue;
            }
            let beyond = self.view.cell(outer);
            let (is_held, is_mine) = if beyond[3] == INFINITE {
                // in the plane of the face the sphere is that of this cell, which holds the point
                let is_behind = hollow.is_behind(slot);
                let exact = || !is_before(slot, self.positions(cell), point);
                (is_behind.unwrap_or_else(exact), self.is_all)
            } else {
                // the vertex that only one of the two cells has
                let fourth =
                    self.point(all ^ cell[slot] ^ beyond[0] ^ beyond[1] ^ beyond[2] ^ beyond[3]);
                let exact = || self.is_inside(beyond, point);
                let is_held = hollow.holds(slot, fourth, point).unwrap_or_else(exact);
                (is_held, self.is_all || self.region.has(fourth))
            };
            if !self.sort_out(at, cell, slot, outer, is_held, is_mine) {
                return false;
            }
        }
        true
    }

    /// The neighbours of an infinite cell.
    #[cold]
    fn dig_around_infinite(&mut self, at: u32, cell: [u32; 4], point: &Point) -> bool {
        for (slot, outer) in self.view.neighbours(at).into_iter().enumerate() {
            if self.view.is_marked(outer) {
                continue;
            }
            let beyond = self.view.cell(outer);
            let is_held = if beyond[3] == INFINITE {
                self.is_beyond_hull(outer, beyond, point)
            } else {
                self.is_inside(beyond, point)
            };
            if !self.sort_out(at, cell, slot, outer, is_held, self.is_all) {
                return false;
            }
        }
        true
    }

    /// Keeps a neighbour as one that goes, or the face before it as one that stays; false, if it goes
    /// and is not this region's.
    #[inline(always)]
    fn sort_out(
        &mut self,
        at: u32,
        cell: [u32; 4],
        slot: usize,
        outer: u32,
        is_held: bool,
        is_mine: bool,
    ) -> bool {
        if !is_held {
            let outer_slot = self.view.slot_of(outer, at) as u8;
            self.faces.push(Face { cell, slot: slot as u8, outer_slot, outer });
        } else if is_mine {
            self.view.mark(outer, true);
            self.cavity.push(outer);
        }
        !is_held || is_mine
    }

    /// Whether the circumsphere of a finite cell holds a point.
    #[cold]
    fn is_inside(&self, cell: [u32; 4], point: &Point) -> bool {
        let positions = self.positions(cell);
        let value = Cell::seen(positions, point).insphere();
        value > 0.0 || (value == 0.0 && predicates::is_inside(positions, point))
    }

    /// An infinite cell's circumsphere is the space beyond the hull; in the plane of the face it is what
    /// the sphere of the cell behind the face is there.
    #[cold]
    fn is_beyond_hull(&self, at: u32, cell: [u32; 4], point: &Point) -> bool {
        let [a, b, c] = [0, 1, 2].map(|k| self.point(cell[k]));
        let side = predicates::orient(a, b, c, point);
        if side != 0.0 {
            return side > 0.0;
        }
        self.is_inside(self.view.cell(self.view.neighbours(at)[3]), point)
    }

    #[cold]
    fn fill_up_again(&mut self) {
        for cell in &self.cavity {
            self.view.mark(*cell, false);
        }
    }

    /// Makes a cell of the point and each face of the cavity.
    fn join(&mut self, vertex: u32) {
        self.edges.clear(self.faces.len());
        let made = self.faces.len();
        for index in 0..made {
            let Face { mut cell, slot, outer_slot, outer } = self.faces[index];
            let slot = usize::from(slot);
            let id = self.unused();
            cell[slot] = vertex;
            self.view.set_cell(id, cell);
            self.view.set_neighbour(id, slot, outer);
            self.view.set_neighbour(outer, usize::from(outer_slot), id);
            for step in 1..4 {
                let side = (slot + step) & 3;
                let [one, two] = [(slot + step % 3 + 1) & 3, (slot + (step + 1) % 3 + 1) & 3];
                let here = id << 2 | side as u32;
                if let Some(there) = self.edges.join(cell[one], cell[two], here) {
                    self.view.set_neighbour(id, side, there >> 2);
                    self.view.set_neighbour(there >> 2, (there & 3) as usize, id);
                }
            }
            self.last = id;
        }
        for cell in self.cavity.drain(..) {
            self.view.discard(cell);
            self.free.push(cell);
        }
    }

    #[inline(always)]
    fn unused(&mut self) -> u32 {
        let cell = self.cavity.pop().or_else(|| self.free.pop());
        cell.or_else(|| self.fresh.next()).unwrap_or_default()
    }
}

/// Whether a point is strictly on the cell's side of the face opposite its k-th vertex.
#[cold]
fn is_before(k: usize, positions: [&Point; 4], point: &Point) -> bool {
    let mut replaced = positions;
    replaced[k] = point;
    let [a, b, c, d] = replaced;
    predicates::orient(a, b, c, d) > 0.0
}

/// Whether a point is strictly behind the face opposite a cell's k-th vertex.
#[cold]
fn is_behind(k: usize, positions: [&Point; 4], point: &Point) -> bool {
    let mut replaced = positions;
    replaced[k] = point;
    let [a, b, c, d] = replaced;
    predicates::orient(a, b, c, d) < 0.0
}
