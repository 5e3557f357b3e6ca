//! A tetrahedral mesh: what the Delaunay kernel makes, and density and skeleton read.

/// The neighbour of a face that lies on the mesh's boundary.
pub const NONE: u32 = u32::MAX;

/// A conforming mesh of tetrahedra, borrowed: 32 bytes a cell beside the vertices.
#[derive(Clone, Copy, Debug)]
pub struct Mesh<'a> {
    /// Positions (comoving Mpc where a survey is meant).
    pub vertices: &'a [[f64; 3]],
    /// Indices of each cell's four vertices, in positive orientation.
    pub cells: &'a [[u32; 4]],
    /// For each cell, the cell that shares the face opposite its k-th vertex, or [`NONE`].
    pub neighbours: &'a [[u32; 4]],
}
