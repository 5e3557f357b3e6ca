//! Single spectra as numpy arrays.

use crate::error::raised;
use crate::lake::{Lake, text};
use bifrost_core::spectrum::{Spectrum, Which};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

/// What is known of an object, as JSON, and its wavelength, flux, ivar and mask.
type Told<'py> = (
    String,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f32>>,
    Bound<'py, PyArray1<f32>>,
    Bound<'py, PyArray1<i32>>,
);

#[pymethods]
impl Lake {
    /// An object's spectra, the primary one first.
    #[pyo3(signature = (target_id, release, survey, program, coadded))]
    fn spectrum<'py>(
        &self,
        py: Python<'py>,
        target_id: i64,
        release: Option<String>,
        survey: Option<String>,
        program: Option<String>,
        coadded: bool,
    ) -> PyResult<Vec<Told<'py>>> {
        let which = Which { release, survey, program };
        let found = self.0.wait(py, self.0.spectra.spectrum(target_id, &which)).map_err(raised)?;
        told(py, found, coadded)
    }

    /// Spectra of objects, in their order; those that are not known are left out.
    #[pyo3(signature = (target_ids, release, survey, program, coadded))]
    fn spectra<'py>(
        &self,
        py: Python<'py>,
        target_ids: Vec<i64>,
        release: Option<String>,
        survey: Option<String>,
        program: Option<String>,
        coadded: bool,
    ) -> PyResult<Vec<Told<'py>>> {
        let which = Which { release, survey, program };
        let found = self.0.wait(py, self.0.spectra.spectra(&target_ids, &which)).map_err(raised)?;
        told(py, found, coadded)
    }
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
