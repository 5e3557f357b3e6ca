//! Makes files: reads and writes FITS, makes mock tiles, fuses tiles into Parquet, derives products
//! from products, writes a lake's datasheet.

pub mod datasheet;
pub mod derive;
pub mod export;
pub mod fits;
pub mod fuse;
pub mod groups;
mod hashed;
pub mod heap;
pub mod mock;
pub mod picture;
pub mod rrdetails;
pub mod snr;
pub mod spectrum;
pub mod stage;
pub mod store;
pub mod survey;
pub mod tokens;
pub mod web;
