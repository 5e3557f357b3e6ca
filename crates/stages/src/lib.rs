//! Makes files: reads and writes FITS, makes mock tiles, writes a lake's datasheet.

pub mod datasheet;
pub mod fits;
pub mod mock;
