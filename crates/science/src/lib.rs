//! What is computed of spectra: arrays in, arrays out, no files and no other crate of ours.
//!
//! ```text
//! grid     the wavelengths of pixels: the arms', and those of coadded spectra
//! coadd    a spectrum's arms become one, with the overlaps used once
//! ```

pub mod coadd;
pub mod grid;
