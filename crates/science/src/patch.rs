//! A mesh, or the part of it around the vertices of one block: all cells that have one of them, and these
//! cells' other vertices, which belong to other blocks.

use crate::delaunay::Part;
use crate::mesh::{Mesh, NONE};
use crate::star::{self, Stars};
use crate::work::{Bytes, Failure, put};
use std::borrow::Cow;

/// Which block each vertex of the whole mesh belongs to, and which block is meant.
#[derive(Debug, Clone, Copy)]
pub struct Share<'a> {
    /// The number of the block.
    pub number: u32,
    /// The block of each vertex.
    pub owners: &'a [u32],
}

/// A part of a mesh: 217 bytes a vertex for the cells, and 28 where it is not the whole.
#[derive(Debug, Clone)]
pub struct Patch<'a> {
    vertices: Cow<'a, [[f64; 3]]>,
    cells: Cow<'a, [[u32; 4]]>,
    neighbours: Cow<'a, [[u32; 4]]>,
    /// Number of each vertex in the whole mesh, ascending; none where this is the whole.
    ids: Option<Vec<u32>>,
    share: Option<Share<'a>>,
}

impl<'a> Patch<'a> {
    /// A whole mesh.
    #[must_use]
    pub fn whole(mesh: Mesh<'a>) -> Self {
        let vertices = Cow::Borrowed(mesh.vertices);
        let (cells, neighbours) = (Cow::Borrowed(mesh.cells), Cow::Borrowed(mesh.neighbours));
        Self { vertices, cells, neighbours, ids: None, share: None }
    }

    /// A block of a tessellation of the points at `positions`.
    #[must_use]
    pub fn part(positions: &[[f64; 3]], part: Part, share: Share<'a>) -> Self {
        let vertices = part.ids.iter().map(|id| positions[*id as usize]).collect();
        let (cells, neighbours) = (Cow::Owned(part.cells), Cow::Owned(part.neighbours));
        Self { vertices, cells, neighbours, ids: Some(part.ids), share: Some(share) }
    }

    /// The part of a larger mesh that a block has.
    #[must_use]
    pub fn cut(mesh: Mesh<'_>, share: Share<'a>) -> Self {
        let is_own = |vertex: &u32| share.owners[*vertex as usize] == share.number;
        let has = |cell: &[u32; 4]| cell.iter().any(is_own);
        let cells: Vec<u32> = (0..).zip(mesh.cells).filter(|c| has(c.1)).map(|c| c.0).collect();
        let own = || cells.iter().map(|cell| *cell as usize);
        let mut ids: Vec<u32> = own().flat_map(|cell| mesh.cells[cell]).collect();
        ids.sort_unstable();
        ids.dedup();
        let place = |list: &[u32], of: u32| list.binary_search(&of).map_or(NONE, |at| at as u32);
        let part = Part {
            cells: own().map(|cell| mesh.cells[cell].map(|v| place(&ids, v))).collect(),
            neighbours: own().map(|cell| mesh.neighbours[cell].map(|c| place(&cells, c))).collect(),
            duplicates: Vec::new(),
            ids,
        };
        Self::part(mesh.vertices, part, share)
    }

    /// The mesh, with vertices as they are numbered here.
    #[must_use]
    pub fn mesh(&self) -> Mesh<'_> {
        Mesh { vertices: &self.vertices, cells: &self.cells, neighbours: &self.neighbours }
    }

    /// The stars of the block's own vertices.
    ///
    /// # Errors
    /// As [`Stars::new`].
    pub fn stars(&self) -> Result<Stars<'_>, star::Error> {
        Stars::some(self.mesh(), |vertex| self.owner(vertex as u32).is_none())
    }

    /// The number of a vertex in the whole mesh.
    #[must_use]
    pub fn id(&self, vertex: u32) -> u32 {
        self.ids.as_ref().map_or(vertex, |ids| ids[vertex as usize])
    }

    /// The vertex of a number in the whole mesh.
    #[must_use]
    pub fn vertex(&self, id: u32) -> Option<u32> {
        match &self.ids {
            Some(ids) => ids.binary_search(&id).ok().map(|place| place as u32),
            None => ((id as usize) < self.vertices.len()).then_some(id),
        }
    }

    /// The block of a vertex that is not of this one.
    #[must_use]
    pub fn owner(&self, vertex: u32) -> Option<u32> {
        let Share { number, owners } = self.share?;
        let owner = owners[self.id(vertex) as usize];
        (owner != number).then_some(owner)
    }

    /// How many vertices the whole mesh has.
    pub(crate) fn whole_len(&self) -> usize {
        self.share.map_or(self.vertices.len(), |share| share.owners.len())
    }

    /// Own vertices that are in cells.
    pub(crate) fn own<'s>(&'s self, stars: &'s Stars<'_>) -> impl Iterator<Item = u32> + 's {
        (0..self.vertices.len() as u32).filter(|vertex| stars.is_used(*vertex))
    }

    /// Values of vertices of the whole mesh, as vertices are numbered here.
    #[must_use]
    pub fn of<'v, T: Copy>(&self, values: &'v [T]) -> Cow<'v, [T]> {
        match &self.ids {
            Some(ids) => ids.iter().map(|id| values[*id as usize]).collect(),
            None => Cow::Borrowed(values),
        }
    }
}

impl Part {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.reserve_exact(32 + 4 * self.ids.len() + 32 * self.cells.len());
        put(&mut out, &self.ids);
        put(&mut out, &self.cells);
        put(&mut out, &self.neighbours);
        put(&mut out, &self.duplicates);
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let mut bytes = Bytes(bytes);
        let (ids, cells) = (bytes.list()?, bytes.list()?);
        Ok(Self { ids, cells, neighbours: bytes.list()?, duplicates: bytes.list()? })
    }
}
