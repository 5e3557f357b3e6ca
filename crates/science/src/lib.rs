//! What is computed of spectra: arrays in, arrays out, no files and no other crate of ours.
//!
//! ```text
//! grid     the wavelengths of pixels: the arms', and those of coadded spectra
//! coadd    a spectrum's arms become one, with the overlaps used once
//! lines    spectral lines, and where they are at a redshift
//! tokens   a spectrum becomes patches that a transformer reads
//! ```

pub mod coadd;
pub mod grid;
pub mod lines;
pub mod tokens;
