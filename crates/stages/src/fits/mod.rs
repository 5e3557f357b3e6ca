//! FITS files, as the archive uses them.

pub mod write;
