//! Makes files: reads and writes FITS, makes mock tiles.

pub mod fits;
pub mod mock;
