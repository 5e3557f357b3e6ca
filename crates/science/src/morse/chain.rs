//! Boundaries of critical triangles: sets of edges that are pushed down along the gradient, modulo 2.

use super::block::Block;
use crate::mesh::NONE;
use crate::star::slot_of;
use std::collections::BinaryHeap;

/// What a set of edges of one block is pushed down to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spread {
    /// The critical edges that an odd number of paths lead to, ascending.
    pub critical: Vec<[u32; 2]>,
    /// The edges of other blocks that an odd number of paths leave through, each after its block.
    pub beyond: Vec<[u32; 3]>,
}

impl Block<'_> {
    /// The boundary of a critical triangle in the Morse complex, modulo 2.
    pub(super) fn boundary(&self, place: u32) -> Spread {
        let (cell, face) = (place >> 2, place as usize & 3);
        let corners = self.patch.mesh().cells[cell as usize];
        let mut chain = Chain::default();
        for skipped in (0..4).filter(|&slot| slot != face) {
            let mut ends = (0..4).filter(|&slot| slot != face && slot != skipped);
            if let (Some(a), Some(b)) = (ends.next(), ends.next()) {
                chain.push(self, cell, corners[a], corners[b]);
            }
        }
        chain.run(self)
    }

    /// [`Self::boundary`] of an edge, given by ranks, that paths from another block lead to.
    pub(super) fn boundary_from(&self, edge: [u32; 2]) -> Spread {
        let mut chain = Chain::default();
        if let Some(cell) = self.find(&edge) {
            chain.open.push((key(edge), cell));
        }
        chain.run(self)
    }

    /// The triangle that an edge is matched with: a cell that has it and the place of its third vertex.
    fn above(&self, first: u32, a: u32, b: u32) -> Option<(u32, usize)> {
        let mesh = self.patch.mesh();
        let corners = mesh.cells[first as usize];
        let mut others = (0..4).filter(|&slot| corners[slot] != a && corners[slot] != b);
        let (p, q) = (others.next()?, others.next()?);
        for (opposite, third) in [(p, q), (q, p)] {
            if self.code(first, opposite) as usize == third + 1 {
                return Some((first, third));
            }
        }
        // around the edge, out of the first cell through one face, and if that ends through the other
        for (leave, keep) in [(p, q), (q, p)] {
            let (mut cell, mut leave, mut keep) = (first, leave, corners[keep]);
            loop {
                cell = mesh.neighbours[cell as usize][leave];
                if cell == NONE {
                    break;
                }
                if cell == first {
                    return None;
                }
                let corners = mesh.cells[cell as usize];
                let fresh = corners.iter().position(|&c| c != a && c != b && c != keep)?;
                leave = slot_of(&corners, keep);
                if self.code(cell, leave) as usize == fresh + 1 {
                    return Some((cell, fresh));
                }
                keep = corners[fresh];
            }
        }
        None
    }
}

fn key(edge: [u32; 2]) -> u64 {
    u64::from(edge[0]) << 32 | u64::from(edge[1])
}

fn unkey(key: u64) -> [u32; 2] {
    [(key >> 32) as u32, key as u32]
}

/// A set of edges that is pushed down along the gradient, modulo 2. Each comes with a cell that has it.
#[derive(Default)]
struct Chain {
    open: BinaryHeap<(u64, u32)>,
}

impl Chain {
    fn push(&mut self, block: &Block, cell: u32, a: u32, b: u32) {
        let (ra, rb) = (block.rank[a as usize], block.rank[b as usize]);
        let (upper, other, edge) = if ra > rb { (a, b, [ra, rb]) } else { (b, a, [rb, ra]) };
        // an edge that is matched with its vertex leads nowhere
        if block.gradient.next[upper as usize] != other {
            self.open.push((key(edge), cell));
        }
    }

    fn run(mut self, block: &Block) -> Spread {
        let (mut critical, mut beyond) = (Vec::new(), Vec::new());
        while let Some((edge, cell)) = self.open.pop() {
            let mut is_odd = true;
            while self.open.peek().is_some_and(|next| next.0 == edge) {
                self.open.pop();
                is_odd = !is_odd;
            }
            if !is_odd {
                continue;
            }
            let corners = block.patch.mesh().cells[cell as usize];
            let of = |rank| corners.into_iter().find(|&c| block.rank[c as usize] == rank);
            let [Some(a), Some(b)] = unkey(edge).map(of) else { continue };
            if let Some(owner) = block.patch.owner(a) {
                let [a, b] = unkey(edge);
                beyond.push([owner, a, b]);
                continue;
            }
            match block.above(cell, a, b) {
                Some((cell, third)) => {
                    let third = block.patch.mesh().cells[cell as usize][third];
                    self.push(block, cell, a, third);
                    self.push(block, cell, b, third);
                }
                None => critical.push(unkey(edge)),
            }
        }
        Spread { critical: odd(critical), beyond: odd(beyond) }
    }
}

/// What is there an odd number of times.
pub(super) fn odd<T: Ord + Copy>(mut all: Vec<T>) -> Vec<T> {
    all.sort_unstable();
    let runs = all.chunk_by(|a, b| a == b).filter(|run| run.len() % 2 == 1);
    runs.map(|run| run[0]).collect()
}
