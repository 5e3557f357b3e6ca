//! What the registry knows of a campaign: nodes, leases, the ledger, intents.
//!
//! Times are the server's; nodes only ever say for how long.

mod intents;
mod leases;
mod ledger;
mod nodes;
mod status;

pub use intents::{Intent, StoreIntent};
pub(crate) use intents::{SetAside, Superseded};
pub use leases::{Lease, LeasedTile, PendingPixel, Taker};
pub use ledger::{AttemptEnd, Ending, Measured, Retry};
pub use nodes::{Disk, Member, NodeRow, Peer};
pub use status::{Counts, Failure, Progress, Rate};
