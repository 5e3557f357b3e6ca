//! Single spectra as numpy arrays.

use crate::error::raised;
use crate::lake::{Open, text};
use bifrost_core::spectrum::{Spectrum, Which};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

/// What is known of an object, as JSON, and its wavelength, flux, ivar and mask.
pub type Told<'py> = (
    String,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f32>>,
    Bound<'py, PyArray1<f32>>,
    Bound<'py, PyArray1<i32>>,
);

/// An object's spectra, the primary one first.
pub fn one<'py>(
    lake: &Open,
    py: Python<'py>,
    target_id: i64,
    which: &Which,
    coadded: bool,
) -> PyResult<Vec<Told<'py>>> {
    told(py, lake.wait(py, lake.spectra.spectrum(target_id, which))?, coadded)
}

/// Spectra of objects, in their order; those that are not known are left out.
pub fn many<'py>(
    lake: &Open,
    py: Python<'py>,
    target_ids: &[i64],
    which: &Which,
    coadded: bool,
) -> PyResult<Vec<Told<'py>>> {
    told(py, lake.wait(py, lake.spectra.spectra(target_ids, which))?, coadded)
}

fn told(py: Python<'_>, found: Vec<Spectrum>, coadded: bool) -> PyResult<Vec<Told<'_>>> {
    let found = py.detach(|| match coadded {
        true => found.into_iter().map(Spectrum::coadded).collect(),
        false => Ok(found),
    });
    let told = |Spectrum { about, pixels }: Spectrum| {
        Ok((
            text(&about)?,
            PyArray1::from_slice(py, &pixels.wavelength),
            pixels.flux.into_pyarray(py),
            pixels.ivar.into_pyarray(py),
            pixels.mask.into_pyarray(py),
        ))
    };
    found.map_err(raised)?.into_iter().map(told).collect()
}
