//! Products that need the whole survey at once: what is computed of all objects' positions comes back
//! tile by tile, aligned with `spectra`.
//!
//! ```text
//! tracer      which objects make a sample: a condition, and the sky's two caps
//! sample      their positions, read through the resolver, each object once
//! mask        where on the sky it was looked for
//! completeness  what part of the targets has a redshift
//! randoms     catalogues of random points that a survey publishes
//! population  galaxies that are seen wherever they are
//! shared      where processes, of one node or several, compute together
//! given       what was computed of them, as a stage that looks it up row by row
//! ```
//!
//! Between [`Sample`] and [`Given`] stands a kernel of `bifrost-science` that knows no files. The
//! sample's digest and the settings are written into every file: a file is made again when its tile,
//! any object of the sample, or a setting has changed, and only then.

pub mod completeness;
mod given;
mod mask;
mod population;
pub mod randoms;
mod sample;
pub mod shared;
pub mod tracer;

pub use completeness::Completeness;
pub use given::Given;
pub(crate) use given::READS;
pub use mask::{Edges, Mask};
pub use population::Population;
pub use randoms::Randoms;
pub use sample::{Error, LeftOut, Sample};
pub use tracer::{Cap, Tracer};
