//! A mesh cut into parts that overlap by what lower stars need.

use super::{Error, Order};
use crate::mesh::{Mesh, NONE};
use crate::star::Stars;

/// A part of a mesh: the vertices of one block, all cells that have one of them, and these cells' other
/// vertices, which belong to other blocks.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// The number of the block.
    pub(crate) number: u32,
    /// Number of each vertex in the whole mesh, ascending.
    pub(crate) ids: Vec<u32>,
    /// Positions.
    pub(crate) vertices: Vec<[f64; 3]>,
    /// As [`Mesh::cells`], with vertices as they are numbered here.
    pub(crate) cells: Vec<[u32; 4]>,
    /// As [`Mesh::neighbours`]; [`NONE`] where the cell beyond is not in this part.
    pub(crate) neighbours: Vec<[u32; 4]>,
    /// Rank of each vertex in the whole mesh.
    pub(crate) rank: Vec<u32>,
    /// Vertices, as numbered here, by rank.
    pub(crate) order: Vec<u32>,
    /// The block of each vertex.
    pub(crate) owners: Vec<u32>,
}

impl Part {
    /// The part as a mesh of its own.
    #[must_use]
    pub fn mesh(&self) -> Mesh<'_> {
        Mesh { vertices: &self.vertices, cells: &self.cells, neighbours: &self.neighbours }
    }

    /// Number of each vertex in the whole mesh, ascending.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// For each vertex, whether it is one of this block's own.
    #[must_use]
    pub fn is_own(&self) -> Vec<bool> {
        self.owners.iter().map(|&owner| owner == self.number).collect()
    }

    /// The stars of this block's vertices.
    ///
    /// # Errors
    /// As [`Stars::new`].
    pub fn stars(&self) -> Result<Stars<'_>, Error> {
        Ok(Stars::some(self.mesh(), |vertex| self.owners.get(vertex) == Some(&self.number))?)
    }
}

/// Cuts a mesh into `blocks` parts, of which each has the vertices that `owners` gives it.
///
/// # Errors
/// Other numbers of owners or ranks than of vertices; owners that are no block.
pub fn split(mesh: Mesh, order: &Order, owners: &[u32], blocks: u32) -> Result<Vec<Part>, Error> {
    for found in [owners.len(), order.rank.len()] {
        if found != mesh.vertices.len() {
            return Err(Error::Length { found, expected: mesh.vertices.len() });
        }
    }
    if let Some(&wrong) = owners.iter().find(|&&owner| owner >= blocks) {
        return Err(Error::Block(wrong as usize));
    }
    Ok((0..blocks).map(|number| cut(mesh, order, owners, number)).collect())
}

fn cut(mesh: Mesh, order: &Order, owners: &[u32], number: u32) -> Part {
    let has = |cell: &[u32; 4]| cell.iter().any(|&vertex| owners[vertex as usize] == number);
    let cells: Vec<u32> = (0..).zip(mesh.cells).filter(|c| has(c.1)).map(|c| c.0).collect();
    let mut ids: Vec<u32> = cells.iter().flat_map(|&cell| mesh.cells[cell as usize]).collect();
    ids.sort_unstable();
    ids.dedup();
    let place = |list: &[u32], of: u32| list.binary_search(&of).map_or(NONE, |place| place as u32);
    let all = || ids.iter().map(|&id| id as usize);
    let rank: Vec<u32> = all().map(|id| order.rank[id]).collect();
    let mut by_rank: Vec<u32> = (0..ids.len() as u32).collect();
    by_rank.sort_unstable_by_key(|&vertex| rank[vertex as usize]);
    let own = || cells.iter().map(|&cell| cell as usize);
    Part {
        number,
        vertices: all().map(|id| mesh.vertices[id]).collect(),
        cells: own().map(|cell| mesh.cells[cell].map(|v| place(&ids, v))).collect(),
        neighbours: own().map(|cell| mesh.neighbours[cell].map(|c| place(&cells, c))).collect(),
        owners: all().map(|id| owners[id]).collect(),
        order: by_rank,
        rank,
        ids,
    }
}
