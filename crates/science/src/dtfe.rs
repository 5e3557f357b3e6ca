//! Density at the vertices of a Delaunay mesh (DTFE: Schaap & van de Weygaert 2000, A&A 363, L29).
//!
//! ```text
//! ρ(v)  =  4 · mass / Σ volume of the cells around v         as DisPerSE's field_value
//! ρ(v)  =  0                                                 on the hull
//! ```
//!
//! On the hull the cell that a point has to itself has no end, so its density is 0: nothing is known to
//! lie outside, and no peak is made of slivers. [`Density::boundary`] flags the hull and whatever shares a
//! cell with it, where large empty cells spoil the estimate.
//!
//! Bits do not depend on threads, on the order of cells or of vertices in a cell, nor on which part of a
//! larger mesh is there, if its vertices are numbered in the same order: a volume is computed of vertices
//! sorted by number, and volumes are added as integers. With the stars of some
//! vertices alone ([`Stars::some`]) the values of others are 0, and flags are complete only together with
//! those of the other parts: a vertex is flagged if it is in any part, or in no part's stars.

use crate::mesh::{Mesh, NONE};
use crate::star::{Error as MeshError, OTHERS, Stars};
use rayon::prelude::*;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// Why there are no densities.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A mesh that is none.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// A mass that no density can be made of.
    #[error("the mass of a point is a number above 0, not {0}")]
    Mass(f64),
    /// A position that is not finite, or a point whose cells have no volume.
    #[error("vertex {0} has no density: it is not finite, or its cells are flat")]
    Flat(usize),
    /// Values that are not one for each vertex.
    #[error("{found} values for {expected} vertices")]
    Length {
        /// Values.
        found: usize,
        /// Vertices.
        expected: usize,
    },
}

/// Density at each vertex.
#[derive(Debug, Clone, PartialEq)]
pub struct Density {
    /// Mass for each unit of volume; 0 on the hull, and of vertices in no cell.
    pub values: Vec<f64>,
    /// Whether the vertex lies on the hull, or shares a cell with one that does, or is in no cell.
    pub boundary: Vec<bool>,
}

impl Density {
    /// Density of points of equal `mass`, averaged over neighbours `passes` times: see [`smooth`].
    ///
    /// # Errors
    /// A mesh that is none; a mass that is not above 0; vertices that are not finite or whose cells are
    /// all flat.
    pub fn new(stars: &Stars, mass: f64, passes: usize) -> Result<Self, Error> {
        let mut made = Self::within(stars, extent(stars.mesh().vertices)?, mass)?;
        for (vertex, flag) in (0..).zip(&mut made.boundary) {
            *flag |= !stars.is_used(vertex);
        }
        for _ in 0..passes {
            made.values = smooth(stars, &made.values)?;
        }
        Ok(made)
    }

    /// Density with the `extent` of a mesh that this one may be a part of: see [`extent`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn within(stars: &Stars, extent: f64, mass: f64) -> Result<Self, Error> {
        if !(mass > 0.0 && mass.is_finite()) {
            return Err(Error::Mass(mass));
        }
        let mesh = stars.mesh();
        let volumes: Vec<Sum> = mesh.vertices.par_iter().map(|_| Sum::default()).collect();
        let places: Vec<AtomicU8> = mesh.vertices.par_iter().map(|_| AtomicU8::new(0)).collect();
        mesh.cells.par_iter().zip(mesh.neighbours).for_each(|(&cell, neighbours)| {
            let volume = (volume(mesh, cell) / extent * ONE) as u128;
            for (slot, &vertex) in cell.iter().enumerate() {
                volumes[vertex as usize].add(volume);
                // of a vertex without a star here a face may be missing that the whole mesh has
                if OTHERS[slot].iter().any(|&face| neighbours[face] == NONE)
                    && stars.is_used(vertex)
                {
                    places[vertex as usize].fetch_or(HULL, Relaxed);
                }
            }
        });
        mesh.cells.par_iter().for_each(|cell| {
            if cell.iter().any(|&vertex| places[vertex as usize].load(Relaxed) & HULL != 0) {
                for &vertex in cell {
                    places[vertex as usize].fetch_or(NEAR, Relaxed);
                }
            }
        });
        let known = (0..).zip(volumes.into_iter().zip(&places)).map(|(vertex, (volume, place))| {
            if !stars.is_used(vertex) || place.load(Relaxed) & HULL != 0 {
                return Ok(0.0);
            }
            let density = 4.0 * mass / (volume.total() as f64 / ONE * extent);
            let is_known = density > 0.0 && density.is_finite();
            is_known.then_some(density).ok_or(Error::Flat(vertex as usize))
        });
        let values = known.collect::<Result<_, _>>()?;
        let boundary = places.into_iter().map(|place| place.into_inner() != 0).collect();
        Ok(Self { values, boundary })
    }
}

/// A power of two above the volume of the box around points; to densities of parts of a mesh that of the
/// whole is given, so that they have the same bits.
///
/// # Errors
/// A position that is not finite, or a box too large for its volume to be.
pub fn extent(points: &[[f64; 3]]) -> Result<f64, Error> {
    let (mut low, mut high) = ([0.0_f64; 3], [0.0_f64; 3]);
    for (vertex, point) in points.iter().enumerate() {
        if vertex == 0 {
            (low, high) = (*point, *point);
        }
        if !point.iter().all(|x| x.is_finite()) {
            return Err(Error::Flat(vertex));
        }
        low = std::array::from_fn(|k| low[k].min(point[k]));
        high = std::array::from_fn(|k| high[k].max(point[k]));
    }
    let volume: f64 = (0..3).map(|k| high[k] - low[k]).product();
    let extent = volume.max(f64::MIN_POSITIVE).log2().ceil().exp2();
    if extent.is_finite() { Ok(extent) } else { Err(Error::Flat(0)) }
}

/// Volumes are added in units of 2⁻¹¹⁸ of the extent, so that their sum does not depend on its sequence.
const ONE: f64 = (1_u128 << 118) as f64;

/// A sum of 128 bits that several threads add to.
#[derive(Debug, Default)]
struct Sum([AtomicU64; 2]);

impl Sum {
    fn add(&self, volume: u128) {
        let low = volume as u64;
        let carry = self.0[0].fetch_add(low, Relaxed).overflowing_add(low).1;
        let high = (volume >> 64) as u64 + u64::from(carry);
        if high > 0 {
            self.0[1].fetch_add(high, Relaxed);
        }
    }

    fn total(self) -> u128 {
        let [low, high] = self.0.map(AtomicU64::into_inner);
        u128::from(high) << 64 | u128::from(low)
    }
}

/// Bits of what is known of a vertex's place.
const HULL: u8 = 2;
const NEAR: u8 = 1;

/// The mean of each vertex's value and those of its neighbours, as one pass of DisPerSE's `-smoothData`.
/// Vertices of value 0 (the hull) take no part and stay as they are.
///
/// # Errors
/// Not one value for each vertex; a mesh that is none.
pub fn smooth(stars: &Stars, values: &[f64]) -> Result<Vec<f64>, Error> {
    let (found, expected) = (values.len(), stars.mesh().vertices.len());
    if found != expected {
        return Err(Error::Length { found, expected });
    }
    let smoothed: Vec<AtomicU64> = values.iter().map(|v| AtomicU64::new(v.to_bits())).collect();
    stars.visit(Vec::new, |(): &mut (), around: &mut Vec<u32>, vertex, star| {
        if values[vertex as usize] == 0.0 {
            return;
        }
        around.clear();
        for &cell in &star.cells {
            around.extend(stars.mesh().cells[cell as usize]);
        }
        // in the order of numbers, so that the sum has the same bits whatever the order of cells
        around.sort_unstable();
        around.dedup();
        let known = around.iter().map(|v| values[*v as usize]).filter(|value| *value != 0.0);
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        smoothed[vertex as usize].store((sum / count).to_bits(), Relaxed);
    })?;
    Ok(smoothed.into_iter().map(|bits| f64::from_bits(bits.into_inner())).collect())
}

/// Volume of a cell, the same to the last bit however its vertices are ordered.
fn volume(mesh: Mesh, mut cell: [u32; 4]) -> f64 {
    cell.sort_unstable();
    let [origin, a, b, c] = cell.map(|vertex| mesh.vertices[vertex as usize]);
    let [a, b, c] = [a, b, c].map(|p| [p[0] - origin[0], p[1] - origin[1], p[2] - origin[2]]);
    let cross = [b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0]];
    (a[0] * cross[0] + a[1] * cross[1] + a[2] * cross[2]).abs() / 6.0
}
