//! Discrete Morse theory of values at the vertices of a tetrahedral mesh: critical cells, the paths
//! between them, persistence pairs.
//!
//! ```text
//! order     a total order of vertices: by value, then by number
//! lower     the lower star of a vertex, matched (Robins, Wood & Sheppard 2011)
//! block     a part of a mesh, its gradient, and the paths inside of it
//! chain     boundaries of critical triangles in a block
//! found     what a block's gradient has that others need
//! complex   critical cells of all blocks, gathered, and paths across blocks
//! pairs     persistence pairs (as Discrete Morse Sandwich: Guillou, Vidal & Tierny 2023, IEEE TVCG 30)
//! ```
//!
//! A simplex appears together with the last of its vertices in the [`Order`], so each belongs to one
//! vertex's lower star, and lower stars are matched independently of each other. What is kept is 2 bytes
//! a cell and 4 bytes a vertex; edges and triangles are never listed, but for the critical ones.
//!
//! **Boundary.** The mesh is taken as it is, neither closed nor mirrored: pairs are those of the lower-star
//! filtration of the mesh (for a ball: one vertex stays unpaired). A path of cells that leaves through the
//! boundary ends *outside*, which counts as a cell that comes after all others and is never paired.
//!
//! **Parts.** What a [`Block`] makes of its vertices needs nothing but their stars. What it [`Found`] is
//! gathered: critical cells, where vertices lead, and where paths go on that enter it from other blocks. That
//! is paired in one place, because persistence is not local; blocks are asked again only for boundaries of
//! the triangles that then are left ([`Pairing`]). So one block at a time has to be in memory. All identities
//! are ranks in the global order, so that the answer has the same bits however the mesh was cut.

mod block;
mod chain;
mod complex;
mod found;
mod lower;
mod order;
mod pairs;
#[cfg(test)]
pub(crate) mod tests;

pub use block::Block;
pub(crate) use block::Gradient;
pub use complex::{Complex, Edge, Gathering, Triangle};
pub use found::Found;
pub use order::Order;
pub use pairs::{Answer, Pairing, Pairs};

/// Why there is no gradient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A mesh that is none.
    #[error(transparent)]
    Mesh(#[from] crate::star::Error),
    /// Values that are not one for each vertex.
    #[error("{found} values for {expected} vertices")]
    Length {
        /// Values.
        found: usize,
        /// Vertices.
        expected: usize,
    },
    /// A value that cannot be ordered.
    #[error("the value of vertex {0} is not a number")]
    NotANumber(usize),
    /// A block with ranks that its mesh does not have.
    #[error("block {0} is of another mesh")]
    Block(usize),
    /// A path that no block says the end of.
    #[error("blocks are not of one mesh: a path leads from one to nowhere")]
    Path,
}
