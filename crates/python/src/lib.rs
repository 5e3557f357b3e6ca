//! The native half of the Python package `bifrost`: questions, answers and rows.
//!
//! It says as little as it can: what is asked comes in as numbers and text, what is read goes out
//! as Arrow streams through the PyCapsule interface. Everything that a person meets is in Python
//! beside it (`python/bifrost`). The GIL is released wherever something is waited for.

mod error;
mod lake;
mod recipe;
mod resolution;
mod science;
mod spectra;
mod web;

use bifrost_core::process::Process;
use mimalloc::MiMalloc;
use pyo3::prelude::*;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Arrow's buffers are large and many: the C library gives each back to the system at once, whose pages
/// then come anew, zeroed.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[pymodule]
fn _bifrost(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // rayon's own threads are not there in whatever is forked from here
    let _ = Process::first();
    // what libraries warn of goes where people see it; BIFROST_LOG says how much
    let level = EnvFilter::try_from_env("BIFROST_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(level).with_writer(std::io::stderr);
    let log = log.with_ansi(std::io::stderr().is_terminal());
    // somebody else's log stays
    let _ = log.with_target(false).try_init();
    module.add("__version__", bifrost_core::VERSION)?;
    module.add("Error", module.py().get_type::<error::Error>())?;
    module.add("UsageError", module.py().get_type::<error::UsageError>())?;
    module.add_class::<lake::Lake>()?;
    module.add_class::<resolution::Resolution>()?;
    module.add_class::<recipe::Recipe>()?;
    module.add_class::<recipe::Batches>()?;
    module.add_function(wrap_pyfunction!(science::token_shape, module)?)?;
    module.add_function(wrap_pyfunction!(science::tokens, module)?)?;
    module.add_function(wrap_pyfunction!(science::encoded, module)?)?;
    module.add_function(wrap_pyfunction!(science::coadded, module)?)?;
    module.add_function(wrap_pyfunction!(science::grid, module)?)?;
    module.add_function(wrap_pyfunction!(science::line_marks, module)?)?;
    module.add_function(wrap_pyfunction!(web::fof_isotropic, module)?)?;
    module.add_function(wrap_pyfunction!(web::fof_sky, module)?)?;
    module.add_function(wrap_pyfunction!(web::comoving, module)?)?;
    module.add_function(wrap_pyfunction!(web::delaunay, module)?)?;
    module.add_function(wrap_pyfunction!(web::skeleton, module)?)?;
    module.add_function(wrap_pyfunction!(web::distance_to_segments, module)?)?;
    Ok(())
}
