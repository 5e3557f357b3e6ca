//! A spectrum for people: a FITS table, a figure.

mod figure;
mod fits;
mod smooth;

pub use figure::svg;
pub use fits::write_fits;

pub use crate::datasheet::figure::Error as FigureError;
