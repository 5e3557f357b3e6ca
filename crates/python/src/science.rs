//! Kernels on numpy arrays.

use crate::error::raised;
use bifrost_core::process::on_all_cores;
use bifrost_science::grid::COADDED;
use bifrost_science::tokens::{Tokenizer, TokensMut, positions};
use bifrost_science::{coadd, lines};
use numpy::ndarray::Array2;
use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2, PyReadwriteArray1,
    PyReadwriteArray2, PyReadwriteArray3, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

type Pixels<'py> =
    (Bound<'py, PyArray1<f32>>, Bound<'py, PyArray1<f32>>, Bound<'py, PyArray1<i32>>);

/// Patches of a spectrum of so many pixels, and values of a patch.
#[pyfunction]
pub fn token_shape(pixels: usize, patch: usize) -> PyResult<(usize, usize)> {
    let tokenizer = Tokenizer::new(patch, pixels).map_err(raised)?;
    Ok((tokenizer.patches(), tokenizer.width()))
}

/// Tokens, mask, median and flag of spectra, (rows, pixels), that lie row by row in memory, written into
/// arrays that are there.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "two arrays in, four out")]
pub fn tokens<'py>(
    py: Python<'py>,
    flux: PyReadonlyArray2<'py, f32>,
    ivar: PyReadonlyArray2<'py, f32>,
    patch: usize,
    threads: usize,
    mut tokens: PyReadwriteArray3<'py, f32>,
    mut masked: PyReadwriteArray2<'py, bool>,
    mut median: PyReadwriteArray1<'py, f32>,
    mut flag: PyReadwriteArray1<'py, u8>,
) -> PyResult<()> {
    let tokenizer = Tokenizer::new(patch, flux.shape()[1]).map_err(raised)?;
    let (flux, ivar) = (flux.as_slice()?, ivar.as_slice()?);
    let into = TokensMut {
        tokens: tokens.as_slice_mut()?,
        masked: masked.as_slice_mut()?,
        median: median.as_slice_mut()?,
        flag: flag.as_slice_mut()?,
    };
    py.detach(|| on_all_cores(|| tokenizer.tokens_into(flux, ivar, threads, into))).map_err(raised)
}

/// Encodings of the positions of patches, (patches, dimensions).
#[pyfunction]
#[pyo3(name = "positions")]
pub fn encoded<'py>(
    py: Python<'py>,
    wavelength: PyReadonlyArray1<'py, f64>,
    patch: usize,
    dimensions: usize,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let made = positions(wavelength.as_slice()?, patch, dimensions).map_err(raised)?;
    let rows = made.len() / dimensions.max(1);
    Ok(Array2::from_shape_vec((rows, dimensions), made).map_err(raised)?.into_pyarray(py))
}

/// Flux, ivar and mask of a spectrum's arms on the survey's grid.
#[pyfunction]
#[pyo3(name = "coadd")]
pub fn coadded<'py>(
    py: Python<'py>,
    wavelength: PyReadonlyArray1<'py, f64>,
    flux: PyReadonlyArray1<'py, f32>,
    ivar: PyReadonlyArray1<'py, f32>,
    mask: PyReadonlyArray1<'py, i32>,
) -> PyResult<Pixels<'py>> {
    let (wavelength, flux) = (wavelength.as_slice()?, flux.as_slice()?);
    let (ivar, mask) = (ivar.as_slice()?, mask.as_slice()?);
    let made = py.detach(|| coadd::coadd(wavelength, flux, ivar, mask)).map_err(raised)?;
    Ok((made.flux.into_pyarray(py), made.ivar.into_pyarray(py), made.mask.into_pyarray(py)))
}

/// Wavelengths of the survey's grid, Å.
#[pyfunction]
pub fn grid(py: Python<'_>) -> Bound<'_, PyArray1<f64>> {
    COADDED.wavelengths().collect::<Vec<_>>().into_pyarray(py)
}

/// Name, observed wavelength (Å) and whether it is one of emission, of lines within a range.
#[pyfunction]
pub fn line_marks(z: f64, first: f64, last: f64) -> Vec<(&'static str, f64, bool)> {
    let mark = |mark: lines::Mark| {
        (mark.line.name, mark.observed_angstrom, mark.line.kind == lines::Kind::Emission)
    };
    lines::marks(z, first..=last).map(mark).collect()
}
