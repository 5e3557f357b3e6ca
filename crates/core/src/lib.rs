//! A survey's spectra as a lake of Parquet files with a Postgres sidecar index.
//!
//! The registry (Postgres) knows every file, its row groups, bounds and sky coverage, and every
//! object's identity; it carries no spectrum. A question is answered in two steps: the registry
//! *resolves* it to files and row groups, then the reader reads those, and only those.
//!
//! This crate touches no terminal, no environment and no home folder: whatever it needs is passed
//! to it, so that the command line and the Python package share it unchanged.

mod blocking;
pub mod bounds;
pub mod cluster;
pub mod crossmatch;
pub mod footer;
pub mod gc;
pub mod guard;
pub mod hats;
pub mod history;
pub mod layout;
pub mod metadata;
mod narrow;
pub mod occupancy;
pub mod order;
pub mod outcome;
pub mod patience;
pub mod predicate;
pub mod process;
pub mod publish;
pub mod quarantine;
pub mod read;
pub mod redshift;
pub mod registry;
pub mod remote;
pub mod resolution;
pub mod session;
pub mod sky;
pub mod snapshot;
pub mod spectrum;
pub mod store;
pub mod sync;
pub mod tile;
pub mod votable;
pub mod watch;
pub mod whole;
pub mod withdraw;

/// This version of Bifrost, as written into every file it makes.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
