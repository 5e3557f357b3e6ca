//! What goes wrong, as exceptions with the words of the command line.

use bifrost_core::{history, predicate, read, resolution, session, sky, snapshot, spectrum};
use bifrost_science::{coadd, delaunay, distance, fof, tokens};
use numpy::ndarray::ShapeError;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(bifrost, Error, PyException, "What went wrong, and what to do.");
create_exception!(bifrost, UsageError, Error, "The question is at fault.");

/// An exception of an error: of the question, or of what it was asked of.
pub fn raised(error: impl Into<Fault>) -> PyErr {
    let Fault { words, is_usage } = error.into();
    match is_usage {
        true => UsageError::new_err(words),
        false => Error::new_err(words),
    }
}

/// An error's words.
pub struct Fault {
    words: String,
    is_usage: bool,
}

macro_rules! faults {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Fault {
            fn from(error: $kind) -> Self {
                Self { words: error.to_string(), is_usage: error.is_usage() }
            }
        }
    )*};
}

faults!(session::Error, history::Error, read::Error, resolution::Error, snapshot::Error);

macro_rules! slips {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Fault {
            fn from(error: $kind) -> Self {
                Self { words: error.to_string(), is_usage: true }
            }
        }
    )*};
}

slips!(
    predicate::Error,
    sky::Error,
    coadd::Error,
    tokens::Error,
    fof::Error,
    delaunay::Error,
    distance::Error,
    ShapeError,
    String
);

impl From<spectrum::Error> for Fault {
    fn from(error: spectrum::Error) -> Self {
        let is_usage = matches!(error, spectrum::Error::Unknown { .. });
        Self { words: error.to_string(), is_usage }
    }
}
