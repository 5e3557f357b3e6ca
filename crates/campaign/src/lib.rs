//! The campaign: from the archive's inventory to a lake, unattended, on any number of nodes.
//!
//! ```text
//! run::run                    settles what died, joins, leases pixels, ends when nothing is left
//!   share    who makes which pixel: weighted rendezvous hashing, the same on every node
//!   plan     which pixels are mine to lease now, and what the rest waits for
//!   beat     says that we live, renews the leases, learns who else does
//!   pixel    fetch -> make -> publish and register, one leased pixel
//!   scratch  how many bytes of the archive's files may be here at once
//!   batch    what is said of every few tiles
//! notices    people are told: webhook, command
//! ```
//!
//! Nothing here speaks SQL, and nothing but [`pixel`] publishes. Whatever dies when, the registry
//! shows one live file a tile: see `bifrost_core::sync::publish`.

mod batch;
mod beat;
pub mod notices;
mod pixel;
pub mod plan;
mod run;
mod scratch;
mod settings;
pub mod share;

pub use batch::{Batch, clock};
pub use run::run;
pub use settings::{End, Error, Event, Report, Settings, Stop, Tell};
