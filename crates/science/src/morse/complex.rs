//! Critical cells of all blocks, and paths that run through several.

use super::block::{Block, End, Known};
use super::chain::odd;
use super::{Error, Pairs};
use rayon::prelude::*;
use std::collections::BinaryHeap;
use std::sync::atomic::AtomicU32;

/// Critical cells of all blocks in filtration order. A cell's vertices are ranks, the greatest first.
#[derive(Debug)]
pub struct Complex<'a> {
    blocks: Vec<Block<'a>>,
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
    /// The block of its first vertex.
    pub(super) block: u32,
}

/// A critical triangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Triangle {
    /// Ranks of its vertices.
    pub ranks: [u32; 3],
    /// The critical tetrahedron, by its place in the list, that the path from each side leads to; as many
    /// as there are where it leads outside.
    pub sides: [u32; 2],
    block: u32,
    place: u32,
}

impl<'a> Complex<'a> {
    /// Gathers the critical cells of blocks that together are a mesh. Block k is at place k.
    ///
    /// # Errors
    /// A path into a block that is not there.
    pub fn new(mut blocks: Vec<Block<'a>>) -> Result<Self, Error> {
        let mut vertices = Vec::new();
        let mut tetrahedra = Vec::new();
        for block in &mut blocks {
            vertices.append(&mut block.critical.vertices);
            tetrahedra.append(&mut block.critical.tetrahedra);
        }
        vertices.par_sort_unstable();
        tetrahedra.par_sort_unstable();
        let mut all =
            Self { blocks, vertices, edges: Vec::new(), triangles: Vec::new(), tetrahedra };
        all.edges = all.find_edges()?;
        all.triangles = all.find_triangles()?;
        for block in &mut all.blocks {
            block.critical = Default::default();
        }
        Ok(all)
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

    /// One more than the greatest rank.
    pub(crate) fn ranks_end(&self) -> usize {
        self.blocks.iter().map(Block::ranks_end).max().unwrap_or(0)
    }

    /// Persistence pairs of the critical cells.
    ///
    /// # Errors
    /// A path into a block that is not there.
    pub fn pairs(&self) -> Result<Pairs, Error> {
        Pairs::new(self)
    }

    /// Ranks of the vertices on the path that begins at an end of a critical edge: down the order, from
    /// that end to a critical vertex.
    ///
    /// # Errors
    /// A path into a block that is not there.
    pub fn path(&self, edge: &Edge, end: usize) -> Result<Vec<u32>, Error> {
        let mut block = self.block(edge.block)?;
        let mut path = vec![edge.ranks[end & 1]];
        while let Some(&last) = path.last() {
            match block.step(last) {
                End::Critical([rank]) if rank == last => break,
                End::Critical([rank]) => path.push(rank),
                End::Beyond { block: other, .. } => block = self.block(other)?,
                End::Outside => break,
            }
        }
        Ok(path)
    }

    /// Ranks of the vertices that share a cell with the one of this rank, and this one; ascending.
    #[must_use]
    pub fn around(&self, rank: u32) -> Vec<u32> {
        self.blocks.iter().find_map(|block| block.around(rank)).unwrap_or_default()
    }

    /// Critical edges, ascending, in the boundary of a triangle modulo 2, found across blocks.
    pub(super) fn boundary(&self, triangle: &Triangle) -> Result<Vec<[u32; 2]>, Error> {
        let (mut critical, beyond) = self.block(triangle.block)?.boundary(triangle.place);
        if beyond.is_empty() {
            return Ok(critical);
        }
        let mut open: BinaryHeap<([u32; 2], u32)> =
            beyond.into_iter().map(|(b, e)| (e, b)).collect();
        while let Some(first) = open.pop() {
            let mut is_odd = true;
            while open.peek() == Some(&first) {
                open.pop();
                is_odd = !is_odd;
            }
            if is_odd {
                let (found, beyond) = self.block(first.1)?.boundary_from(first.0);
                critical.extend(found);
                open.extend(beyond.into_iter().map(|(block, edge)| (edge, block)));
            }
        }
        Ok(odd(critical))
    }

    fn block(&self, number: u32) -> Result<&Block<'a>, Error> {
        self.blocks.get(number as usize).ok_or(Error::Block(number as usize))
    }

    fn find_edges(&self) -> Result<Vec<Edge>, Error> {
        let known: Vec<Known> = self.blocks.iter().map(|b| unknown(b.vertices())).collect();
        let end = |mut block: u32, mut rank: u32| loop {
            match self.block(block)?.follow_vertex(&known[block as usize], rank) {
                End::Critical([end]) => return Ok(place(&self.vertices, &end)),
                End::Beyond { block: other, cell: [exit] } => (block, rank) = (other, exit),
                End::Outside => return Err(Error::Block(block as usize)),
            }
        };
        let mut edges = Vec::new();
        for (block, number) in self.blocks.iter().zip(0..) {
            edges.par_extend_fallible(&block.critical.edges, |&ranks| {
                let ends = [end(number, ranks[0])?, end(number, ranks[1])?];
                Ok(Edge { ranks, ends, block: number })
            })?;
        }
        edges.par_sort_unstable();
        Ok(edges)
    }

    fn find_triangles(&self) -> Result<Vec<Triangle>, Error> {
        let known: Vec<Known> = self.blocks.iter().map(|b| unknown(b.cells())).collect();
        let resolve = |mut end: End<4>| -> Result<u32, Error> {
            loop {
                match end {
                    End::Critical(cell) => return Ok(place(&self.tetrahedra, &cell)),
                    End::Outside => return Ok(self.tetrahedra.len() as u32),
                    End::Beyond { block, cell } => {
                        end = self.block(block)?.follow_from(&known[block as usize], cell);
                    }
                }
            }
        };
        let mut triangles = Vec::new();
        for (block, number) in self.blocks.iter().zip(0..) {
            let known = &known[number as usize];
            triangles.par_extend_fallible(&block.critical.triangles, |&(ranks, place)| {
                let [a, b] = block.follow_sides(known, place);
                Ok(Triangle { ranks, sides: [resolve(a)?, resolve(b)?], block: number, place })
            })?;
        }
        triangles.par_sort_unstable();
        Ok(triangles)
    }
}

fn unknown(len: usize) -> Known {
    (0..len).map(|_| AtomicU32::new(0)).collect()
}

fn place<T: Ord>(sorted: &[T], what: &T) -> u32 {
    sorted.binary_search(what).unwrap_or_else(|place| place) as u32
}

/// Makes and appends in parallel, or says the first thing that went wrong.
trait Fallible<T> {
    fn par_extend_fallible<S: Sync>(
        &mut self,
        from: &[S],
        make: impl Fn(&S) -> Result<T, Error> + Sync + Send,
    ) -> Result<(), Error>;
}

impl<T: Send> Fallible<T> for Vec<T> {
    fn par_extend_fallible<S: Sync>(
        &mut self,
        from: &[S],
        make: impl Fn(&S) -> Result<T, Error> + Sync + Send,
    ) -> Result<(), Error> {
        let made: Result<Self, Error> = from.par_iter().map(make).collect();
        self.append(&mut made?);
        Ok(())
    }
}
