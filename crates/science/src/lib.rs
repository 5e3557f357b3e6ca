//! What is computed of spectra and of where galaxies are: arrays in, arrays out, no files and no other
//! crate of ours.
//!
//! ```text
//! astra    void, sheet, filament or knot, read off a mesh of galaxies and random points
//! grid     the wavelengths of pixels: the arms', and those of coadded spectra
//! coadd    a spectrum's arms become one, with the overlaps used once
//! lines    spectral lines, and where they are at a redshift
//! tokens   a spectrum becomes patches that a transformer reads
//! cosmology redshifts as comoving distances and positions
//! fof      friends of friends: which galaxies are linked
//! groups   groups as a catalogue; fingers of God compressed
//! nz       how many galaxies there are by volume, smoothly over redshift
//! neighbours  how near others are: Σ₅ and the fifth neighbour
//! curve    positions in an order in which neighbours are near each other
//! delaunay tetrahedra of points: the mesh
//! mesh     tetrahedra over positions: density and skeleton are read off it
//! star     the cells around a vertex of a mesh
//! dtfe     density at the vertices of a Delaunay mesh
//! distance from points to the nearest of many segments
//! skeleton filaments: lines along ridges of density, from passes to peaks
//! morse    critical cells of values on a mesh, paths between them, persistence pairs
//! patch    the part of a mesh around the vertices of one block
//! tiles    points shared among blocks of space
//! work     work done in parts, whose outputs are kept
//! web      density, filaments, distances and classes of points, block by block under a memory ceiling
//! ```

pub mod astra;
mod boxes;
pub mod coadd;
pub mod cosmology;
pub mod curve;
pub mod delaunay;
pub mod distance;
pub mod dtfe;
pub mod fof;
pub mod grid;
pub mod groups;
mod kd;
pub mod lines;
pub mod mesh;
pub mod morse;
pub mod neighbours;
pub mod nz;
pub mod patch;
pub mod skeleton;
pub mod star;
pub mod tiles;
pub mod tokens;
pub mod wanted;
pub mod web;
pub mod work;
