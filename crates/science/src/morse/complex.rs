//! Critical cells of all blocks, and paths that run through several.

use super::block::Block;
use super::found::{EXIT, Found, OUTSIDE};
use super::{Error, Pairing, Pairs};
use rayon::prelude::*;

/// Critical cells of a whole mesh in filtration order. A cell's vertices are ranks, the greatest first. 4
/// bytes a vertex beside them.
#[derive(Debug, Clone, Default)]
pub struct Complex {
    /// For each rank, that of the vertex which the edge matched with this one leads to; the same at a
    /// path's end.
    next: Vec<u32>,
    /// Critical vertices.
    pub(crate) vertices: Vec<u32>,
    /// Critical edges.
    pub(crate) edges: Vec<Edge>,
    /// Critical triangles.
    pub(crate) triangles: Vec<Triangle>,
    /// Critical tetrahedra.
    pub(crate) tetrahedra: Vec<[u32; 4]>,
}

/// A critical edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Ranks of its vertices.
    pub ranks: [u32; 2],
    /// The critical vertex, by its place in the list, that the path from each end leads to.
    pub ends: [u32; 2],
}

/// A critical triangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Triangle {
    /// Ranks of its vertices.
    pub ranks: [u32; 3],
    /// The critical tetrahedron, by its place in the list, that the path from each side leads to; as many
    /// as there are where it leads outside.
    pub sides: [u32; 2],
    /// The block of its first vertex.
    pub(super) block: u32,
    /// Where it is in that block.
    pub(super) place: u32,
}

/// What blocks found, gathered block by block.
#[derive(Debug, Default)]
pub struct Gathering {
    complex: Complex,
    blocks: u32,
    /// Cells that paths enter blocks by, and where those lead: ends are places in these lists.
    entries: Vec<([u32; 4], u32)>,
    exits: Vec<[u32; 4]>,
}

impl Gathering {
    /// Nothing yet, of a mesh of so many vertices.
    #[must_use]
    pub fn new(vertices: usize) -> Self {
        let next = (0..vertices as u32).collect();
        Self { complex: Complex { next, ..Complex::default() }, ..Self::default() }
    }

    /// Adds the next block.
    ///
    /// # Errors
    /// Ranks that the mesh does not have.
    pub fn add(&mut self, found: Found) -> Result<(), Error> {
        let complex = &mut self.complex;
        for [rank, next] in found.next {
            let slot = complex.next.get_mut(rank as usize).filter(|_| next <= rank);
            *slot.ok_or(Error::Block(self.blocks as usize))? = next;
        }
        let has = |ranks: &[u32; 2]| ranks.iter().all(|r| (*r as usize) < complex.next.len());
        if !found.edges.iter().all(has) {
            return Err(Error::Block(self.blocks as usize));
        }
        let (cells, exits) = (complex.tetrahedra.len() as u32, self.exits.len() as u32);
        let end = |end: u32| match end {
            OUTSIDE => OUTSIDE,
            _ if end & EXIT != 0 => end + exits,
            _ => end + cells,
        };
        complex.vertices.extend(found.vertices);
        let ends = [0; 2];
        complex.edges.extend(found.edges.into_iter().map(|ranks| Edge { ranks, ends }));
        let triangles = found.triangles.into_iter().map(|t| Triangle {
            ranks: t.ranks,
            sides: t.sides.map(end),
            block: self.blocks,
            place: t.place,
        });
        complex.triangles.extend(triangles);
        complex.tetrahedra.extend(found.tetrahedra);
        self.entries.extend(found.entries.into_iter().map(|(cell, to)| (cell, end(to))));
        self.exits.extend(found.exits);
        self.blocks += 1;
        Ok(())
    }

    /// Joins paths.
    ///
    /// # Errors
    /// A path into a block that is not there.
    pub fn finish(mut self) -> Result<Complex, Error> {
        let mut complex = std::mem::take(&mut self.complex);
        complex.vertices.par_sort_unstable();
        let mut heads = complex.next.clone();
        // a path leads down the order: where it ends is known before
        for rank in 0..heads.len() {
            heads[rank] = heads[heads[rank] as usize];
        }
        let vertices = &complex.vertices;
        complex.edges.par_iter_mut().for_each(|edge| {
            edge.ends = edge.ranks.map(|rank| place(vertices, &heads[rank as usize]));
        });
        drop(heads);
        complex.edges.par_sort_unstable();
        self.join_cells(&mut complex)?;
        complex.triangles.par_sort_unstable();
        Ok(complex)
    }

    /// Sides of triangles, which are places in lists of this, become places of sorted tetrahedra.
    fn join_cells(mut self, complex: &mut Complex) -> Result<(), Error> {
        let count = complex.tetrahedra.len() as u32;
        let mut order: Vec<u32> = (0..count).collect();
        order.par_sort_unstable_by_key(|at| complex.tetrahedra[*at as usize]);
        let mut places = vec![0; order.len()];
        for (place, at) in (0..).zip(order) {
            places[at as usize] = place;
        }
        complex.tetrahedra.par_sort_unstable();
        self.entries.par_sort_unstable();
        let entry = |cell: &[u32; 4]| {
            let found = self.entries.binary_search_by_key(cell, |entry| entry.0);
            found.map(|at| EXIT | at as u32).map_err(|_| Error::Path)
        };
        let exits: Vec<u32> = self.exits.par_iter().map(entry).collect::<Result<_, _>>()?;
        let plain = |end: u32| match end {
            OUTSIDE => Some(count),
            _ if end & EXIT != 0 => exits.get((end & !EXIT) as usize).copied(),
            _ => places.get(end as usize).copied(),
        };
        let mut ends: Vec<u32> = (self.entries.iter())
            .map(|entry| plain(entry.1).ok_or(Error::Path))
            .collect::<Result<_, _>>()?;
        // each round doubles how far an entry sees along its path
        for _ in 0..u32::BITS {
            if ends.par_iter().all(|end| end & EXIT == 0) {
                break;
            }
            let before = &ends;
            let ahead = |end: &u32| match end & EXIT {
                0 => *end,
                _ => before[(end & !EXIT) as usize],
            };
            ends = before.par_iter().map(ahead).collect();
        }
        complex.triangles.par_iter_mut().try_for_each(|triangle| {
            for side in &mut triangle.sides {
                let end = plain(*side).ok_or(Error::Path)?;
                *side = if end & EXIT == 0 { end } else { ends[(end & !EXIT) as usize] };
                if *side & EXIT != 0 {
                    return Err(Error::Path);
                }
            }
            Ok(())
        })
    }
}

impl Complex {
    /// Joins what the blocks of a mesh of so many vertices found, in the order of their numbers.
    ///
    /// # Errors
    /// A path into a block that is not there.
    pub fn new(vertices: usize, found: impl IntoIterator<Item = Found>) -> Result<Self, Error> {
        let mut gathering = Gathering::new(vertices);
        found.into_iter().try_for_each(|found| gathering.add(found))?;
        gathering.finish()
    }

    /// Ranks of critical vertices.
    #[must_use]
    pub fn vertices(&self) -> &[u32] {
        &self.vertices
    }

    /// Critical edges.
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// Critical triangles.
    #[must_use]
    pub fn triangles(&self) -> &[Triangle] {
        &self.triangles
    }

    /// Ranks of the vertices of critical tetrahedra.
    #[must_use]
    pub fn tetrahedra(&self) -> &[[u32; 4]] {
        &self.tetrahedra
    }

    /// How many vertices the mesh has.
    pub(crate) fn ranks_end(&self) -> usize {
        self.next.len()
    }

    /// Persistence pairs of the critical cells, with all blocks at hand. Out of core they are had from
    /// [`Pairing`].
    ///
    /// # Errors
    /// A path into a block that is not there.
    pub fn pairs(&self, blocks: &[Block<'_>]) -> Result<Pairs, Error> {
        let mut pairing = Pairing::new(self);
        while pairing.is_open() {
            let answers: Vec<_> = (0..).zip(blocks).map(|(k, b)| pairing.answer(k, b)).collect();
            pairing.take(answers)?;
        }
        pairing.finish()
    }

    /// Ranks of the vertices on the path that begins at an end of a critical edge: down the order, from
    /// that end to a critical vertex.
    #[must_use]
    pub fn path(&self, edge: &Edge, end: usize) -> Vec<u32> {
        let mut path = vec![edge.ranks[end & 1]];
        while let Some(&last) = path.last() {
            match self.next.get(last as usize) {
                Some(&next) if next < last => path.push(next),
                _ => break,
            }
        }
        path
    }
}

fn place<T: Ord>(sorted: &[T], what: &T) -> u32 {
    sorted.binary_search(what).unwrap_or_else(|place| place) as u32
}
