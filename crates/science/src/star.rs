//! Stars of vertices: the cells around each, found without a list of them.
//!
//! A mesh of N vertices has about 27 N pairs of a vertex and a cell, so such a list would weigh as much
//! as the mesh. Instead each vertex knows one of its cells, and the others are reached through the faces
//! that contain the vertex. Vertices are visited in the order of their cells, which lie close in memory
//! when the mesh's maker sorted them, whatever the order of the vertices.

use crate::mesh::{Mesh, NONE};
use crate::wanted::{Unwanted, Wanted};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Cells that one task walks through.
const CHUNK: usize = 4096;
/// Cells of a mesh, at most: what is kept of a face has 32 bits.
const MAX_CELLS: usize = 1 << 30;

/// For each of four slots, the other three.
pub(crate) const OTHERS: [[usize; 3]; 4] = [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]];

/// Why arrays are not a mesh.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Lists of cells and of neighbours that differ in length.
    #[error("{cells} cells have neighbours for {neighbours}")]
    Length {
        /// Cells.
        cells: usize,
        /// Entries of neighbours.
        neighbours: usize,
    },
    /// More cells or vertices than 32 bits tell apart.
    #[error("{0} cells or vertices are too many for one mesh")]
    TooMany(usize),
    /// A cell whose vertices are not four of the mesh's.
    #[error("cell {0} does not have four vertices of the mesh")]
    Vertex(usize),
    /// A cell that does not share a face with the neighbour it names.
    #[error("cell {0} and its neighbour do not share a face")]
    Neighbour(usize),
    /// Cells at one vertex that are not connected through faces at the vertex.
    #[error("the mesh is no manifold: somewhere cells touch at a vertex or an edge alone")]
    Manifold,
    /// They are walked no more.
    #[error(transparent)]
    Unwanted(#[from] Unwanted),
}

/// A checked mesh whose stars can be walked: 4 bytes a vertex beside the mesh.
#[derive(Debug)]
pub struct Stars<'a> {
    mesh: Mesh<'a>,
    /// The first cell of each vertex; [`NONE`] for one in no cell, or whose star is not asked for.
    first: Cow<'a, [u32]>,
    wanted: Wanted<'a>,
}

/// The cells around one vertex.
#[derive(Debug, Default)]
pub(crate) struct Star {
    /// Cells that have the vertex.
    pub cells: Vec<u32>,
    /// Where in each the vertex stands, 0 to 3.
    pub slots: Vec<usize>,
    /// For each cell and face with the vertex, the place in `cells` of the cell beyond; or [`NONE`].
    pub across: Vec<[u32; 4]>,
    /// For each cell but the first, the place of the cell that it was reached from, and the face there.
    pub from: Vec<(u32, usize)>,
    seen: Index,
}

impl<'a> Stars<'a> {
    /// Checks the mesh and finds a cell for each vertex.
    ///
    /// # Errors
    /// Lists of different lengths, indices out of range, neighbours that are none.
    pub fn new(mesh: Mesh<'a>) -> Result<Self, Error> {
        Self::some(mesh, |_| true)
    }

    /// The stars of some vertices of a mesh that is part of a larger one, which has all their cells.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn some(mesh: Mesh<'a>, has: impl Fn(usize) -> bool + Sync) -> Result<Self, Error> {
        let (cells, neighbours) = (mesh.cells.len(), mesh.neighbours.len());
        if cells != neighbours {
            return Err(Error::Length { cells, neighbours });
        }
        if let Some(most) = [cells, mesh.vertices.len()].into_iter().find(|&n| n >= MAX_CELLS) {
            return Err(Error::TooMany(most));
        }
        (0..cells).into_par_iter().try_for_each(|cell| check(mesh, cell))?;
        let first: Vec<AtomicU32> =
            mesh.vertices.par_iter().map(|_| AtomicU32::new(NONE)).collect();
        mesh.cells.par_iter().enumerate().for_each(|(number, cell)| {
            for &vertex in cell {
                first[vertex as usize].fetch_min(number as u32, Relaxed);
            }
        });
        let first = first.into_iter().enumerate();
        let first = first.map(|(v, first)| if has(v) { first.into_inner() } else { NONE });
        Ok(Self { mesh, first: first.collect(), wanted: Wanted::ALWAYS })
    }

    /// The same stars, whose walks are given up soon after nobody wants them any more.
    #[must_use]
    pub fn while_wanted(self, wanted: Wanted<'a>) -> Self {
        Self { wanted, ..self }
    }

    /// The stars of a mesh that were made before.
    pub(crate) fn again(mesh: Mesh<'a>, first: &'a [u32]) -> Self {
        Self { mesh, first: Cow::Borrowed(first), wanted: Wanted::ALWAYS }
    }

    /// The first cell of each vertex, for [`Self::again`].
    pub(crate) fn into_first(self) -> Vec<u32> {
        self.first.into_owned()
    }

    /// The mesh.
    #[must_use]
    pub fn mesh(&self) -> Mesh<'a> {
        self.mesh
    }

    /// Whether a vertex is in a cell, and its star is one of these.
    pub(crate) fn is_used(&self, vertex: u32) -> bool {
        self.first[vertex as usize] != NONE
    }

    /// A cell of a vertex that is in one.
    pub(crate) fn first(&self, vertex: u32) -> u32 {
        self.first[vertex as usize]
    }

    /// Calls `visit` with every vertex that has a star here and with its star, on all threads. What is gathered
    /// comes back in parts, whose order does not depend on threads.
    ///
    /// # Errors
    /// Cells that touch at a vertex or an edge alone; [`Error::Unwanted`].
    pub(crate) fn visit<T: Default + Send, S>(
        &self,
        scratch: impl Fn() -> S + Sync + Send,
        visit: impl Fn(&mut T, &mut S, u32, &Star) + Sync + Send,
    ) -> Result<Vec<T>, Error> {
        let parts: Vec<(isize, T)> = (0..self.mesh.cells.len().div_ceil(CHUNK))
            .into_par_iter()
            .map_init(
                || (Star::default(), scratch()),
                |(star, scratch), chunk| {
                    let mut gathered = T::default();
                    let mut missing = 0;
                    if self.wanted.check().is_err() {
                        return (missing, gathered);
                    }
                    let end = self.mesh.cells.len().min((chunk + 1) * CHUNK);
                    for cell in chunk * CHUNK..end {
                        for &vertex in &self.mesh.cells[cell] {
                            missing += isize::from(self.is_used(vertex));
                            if self.first(vertex) as usize == cell {
                                star.fill(self.mesh, vertex, cell as u32);
                                missing -= star.cells.len() as isize;
                                visit(&mut gathered, scratch, vertex, star);
                            }
                        }
                    }
                    (missing, gathered)
                },
            )
            .collect();
        self.wanted.check()?;
        if parts.iter().map(|part| part.0).sum::<isize>() != 0 {
            return Err(Error::Manifold);
        }
        Ok(parts.into_iter().map(|part| part.1).collect())
    }
}

fn check(mesh: Mesh, number: usize) -> Result<(), Error> {
    let cell = mesh.cells[number];
    let is_inside = cell.iter().all(|&vertex| (vertex as usize) < mesh.vertices.len());
    let differ = (0..4).all(|k| !cell[..k].contains(&cell[k]));
    if !is_inside || !differ {
        return Err(Error::Vertex(number));
    }
    for (k, &other) in mesh.neighbours[number].iter().enumerate().filter(|face| *face.1 != NONE) {
        let Some(beyond) = mesh.cells.get(other as usize) else {
            return Err(Error::Neighbour(number));
        };
        let back = mesh.neighbours[other as usize].iter().position(|&cell| cell as usize == number);
        let Some(back) = back else { return Err(Error::Neighbour(number)) };
        let shared = (0..4).filter(|&slot| slot != k).all(|slot| beyond.contains(&cell[slot]));
        if !shared || cell.contains(&beyond[back]) {
            return Err(Error::Neighbour(number));
        }
    }
    Ok(())
}

impl Star {
    /// Walks around `vertex`, from one of its cells on.
    pub(crate) fn fill(&mut self, mesh: Mesh, vertex: u32, first: u32) {
        self.cells.clear();
        self.slots.clear();
        self.across.clear();
        self.from.clear();
        self.seen.clear();
        self.seen.insert(first, 0);
        self.push(mesh, vertex, first, (NONE, 0));
        let mut at = 0;
        while at < self.cells.len() {
            let (cell, slot) = (self.cells[at], self.slots[at]);
            for face in OTHERS[slot] {
                let beyond = mesh.neighbours[cell as usize][face];
                if beyond == NONE || self.across[at][face] != NONE {
                    continue;
                }
                let back = slot_of(&mesh.neighbours[beyond as usize], cell);
                let place = self.seen.insert(beyond, self.cells.len() as u32);
                if place as usize == self.cells.len() {
                    self.push(mesh, vertex, beyond, (at as u32, back));
                }
                self.across[at][face] = place;
                self.across[place as usize][back] = at as u32;
            }
            at += 1;
        }
    }

    fn push(&mut self, mesh: Mesh, vertex: u32, cell: u32, from: (u32, usize)) {
        self.cells.push(cell);
        self.slots.push(slot_of(&mesh.cells[cell as usize], vertex));
        self.across.push([NONE; 4]);
        self.from.push(from);
    }
}

/// Where among four numbers one stands that is among them.
pub(crate) fn slot_of(four: &[u32; 4], one: u32) -> usize {
    let [a, b, c, _] = four.map(|other| other == one);
    if a | b { usize::from(b) } else { 3 - usize::from(c) }
}

/// A small map from numbers to numbers, emptied quickly: open addressing in a power of two.
#[derive(Debug, Default)]
pub(crate) struct Index {
    slots: Vec<(u32, u32)>,
    len: usize,
}

impl Index {
    /// Empties the map. One that has grown large shrinks again.
    pub(crate) fn clear(&mut self) {
        if self.slots.len() > 256 {
            self.slots.truncate(256);
        }
        self.slots.resize(self.slots.len().max(64), (NONE, 0));
        self.slots.fill((NONE, 0));
        self.len = 0;
    }

    /// The value of `key`, which becomes `value` if there is none.
    pub(crate) fn insert(&mut self, key: u32, value: u32) -> u32 {
        if 2 * self.len >= self.slots.len() {
            self.grow();
        }
        let slot = self.slot(key);
        if self.slots[slot].0 == NONE {
            self.slots[slot] = (key, value);
            self.len += 1;
        }
        self.slots[slot].1
    }

    fn slot(&self, key: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = (key.wrapping_mul(0x9E37_79B1) >> 7) as usize & mask;
        while self.slots[slot].0 != key && self.slots[slot].0 != NONE {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let larger = vec![(NONE, 0); (2 * self.slots.len()).max(64)];
        let old = std::mem::replace(&mut self.slots, larger);
        for entry in old.into_iter().filter(|entry| entry.0 != NONE) {
            let slot = self.slot(entry.0);
            self.slots[slot] = entry;
        }
    }
}
