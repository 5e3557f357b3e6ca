//! What a block's gradient has that others need.

use crate::work::{Bytes, Failure, put};

/// Of the end of a path of cells: this bit and the place of a cell in [`Found::exits`]. Without it, the
/// place of a critical tetrahedron.
pub(super) const EXIT: u32 = 1 << 31;
/// The end of a path beyond the mesh's boundary.
pub(super) const OUTSIDE: u32 = u32::MAX;

/// Critical cells of a block, by the ranks of their vertices, the greatest first; and where paths go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Rank of each of the block's vertices that is in a cell, and of the one its path leads to: itself
    /// where it is critical.
    pub(super) next: Vec<[u32; 2]>,
    pub(super) vertices: Vec<u32>,
    pub(super) edges: Vec<[u32; 2]>,
    pub(super) triangles: Vec<Triangle>,
    /// Ascending.
    pub(super) tetrahedra: Vec<[u32; 4]>,
    /// Cells that paths of other blocks lead to, each with where its path ends.
    pub(super) entries: Vec<([u32; 4], u32)>,
    /// Cells of other blocks that paths lead to, ascending.
    pub(super) exits: Vec<[u32; 4]>,
}

/// A critical triangle of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Triangle {
    pub ranks: [u32; 3],
    /// Four times a cell that has it, plus the face.
    pub place: u32,
    /// Where the paths of cells from both sides end.
    pub sides: [u32; 2],
}

impl Found {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put(out, &self.next);
        put(out, &self.vertices);
        put(out, &self.edges);
        let triangle = |t: &Triangle| {
            let [a, b, c] = t.ranks;
            [a, b, c, t.place, t.sides[0], t.sides[1]]
        };
        put(out, &self.triangles.iter().map(triangle).collect::<Vec<_>>());
        put(out, &self.tetrahedra);
        let entry = |&([a, b, c, d], end): &([u32; 4], u32)| [a, b, c, d, end];
        put(out, &self.entries.iter().map(entry).collect::<Vec<_>>());
        put(out, &self.exits);
    }

    pub(crate) fn read(bytes: &mut Bytes<'_>) -> Result<Self, Failure> {
        let (next, vertices, edges) = (bytes.list()?, bytes.list()?, bytes.list()?);
        let triangle = |[a, b, c, place, one, other]: [u32; 6]| Triangle {
            ranks: [a, b, c],
            place,
            sides: [one, other],
        };
        let triangles = bytes.list()?.into_iter().map(triangle).collect();
        let tetrahedra = bytes.list()?;
        let entry = |[a, b, c, d, end]: [u32; 5]| ([a, b, c, d], end);
        let entries = bytes.list()?.into_iter().map(entry).collect();
        let exits = bytes.list()?;
        Ok(Self { next, vertices, edges, triangles, tetrahedra, entries, exits })
    }
}
