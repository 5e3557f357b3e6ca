//! Makes files: reads and writes FITS, makes mock tiles, fuses tiles into Parquet, writes a lake's
//! datasheet.

pub mod datasheet;
pub mod fits;
pub mod fuse;
pub mod mock;
pub mod rrdetails;
pub mod stage;
