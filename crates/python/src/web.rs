//! Kernels of the cosmic web on numpy arrays.

use crate::error::raised;
use bifrost_core::process::on_all_cores;
use bifrost_science::cosmology::Cosmology;
use bifrost_science::delaunay::Delaunay;
use bifrost_science::distance::{self, Segments};
use bifrost_science::dtfe::{self, Density};
use bifrost_science::fof::{self, Components, Galaxies};
use bifrost_science::skeleton::{Kind, Options, Skeleton, Threshold};
use bifrost_science::star::Stars;
use bifrost_science::wanted::Wanted;
use numpy::ndarray::{Array1, Array2, Array3};
use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArray3, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How often signals are looked after.
const BETWEEN_SIGNALS: Duration = Duration::from_millis(50);
/// The stack of a thread that does work: as large as that of a program.
const STACK_BYTES: usize = 8 << 20;
/// Positions whose distances are looked up before it is asked whether they are wanted.
const LOOKED_UP: usize = 1 << 16;

type Cells<'py> = (Bound<'py, PyArray2<u32>>, Bound<'py, PyArray2<u32>>);
type Lines<'py> = (
    Bound<'py, PyArray3<f64>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u8>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<bool>>,
);

/// (rows, 3) as the kernels take it.
fn places(array: &PyReadonlyArray2<'_, f64>) -> PyResult<Vec<[f64; 3]>> {
    let array = array.as_array();
    if array.ncols() != 3 {
        return Err(raised(format!("positions have {} columns, not 3", array.ncols())));
    }
    Ok(array.rows().into_iter().map(|row| [row[0], row[1], row[2]]).collect())
}

fn quads(values: &[[u32; 4]]) -> PyResult<Array2<u32>> {
    Array2::from_shape_vec((values.len(), 4), values.as_flattened().to_vec()).map_err(raised)
}

/// For each row the smallest row of its group, −1 where it is alone.
fn labels(components: &Components) -> Vec<i64> {
    let rows = components.first().iter().zip(components.sizes());
    rows.map(|(first, size)| if size > 1 { i64::from(*first) } else { -1 }).collect()
}

/// Does work that Ctrl-C ends: signals are looked after while a thread of its own does it, which is told whether
/// its result is still wanted.
fn interruptible<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce(Wanted<'_>) -> T + Send + 'static,
) -> PyResult<T> {
    let (send, receive) = mpsc::sync_channel(1);
    let wanted = Arc::new(());
    let watch = Arc::downgrade(&wanted);
    let begun = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        let _ = send.send(on_all_cores(|| work(Wanted(&|| watch.strong_count() > 0))));
    });
    begun.map_err(|error| PyRuntimeError::new_err(format!("no thread can be begun: {error}")))?;
    // a channel's end may be of one thread only, which is this
    let receive = Mutex::new(receive);
    loop {
        let waited = py.detach(|| {
            receive.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(BETWEEN_SIGNALS)
        });
        match waited {
            Ok(made) => return Ok(made),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err("the kernel failed, as told above"));
            }
        }
    }
}

/// Groups of positions by one linking length.
#[pyfunction]
pub fn fof_isotropic<'py>(
    py: Python<'py>,
    positions: PyReadonlyArray2<'py, f64>,
    length: f64,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let positions = places(&positions)?;
    let found = interruptible(py, move |_| {
        fof::link_isotropic(&positions, length).map(|found| labels(&found))
    })?;
    Ok(found.map_err(raised)?.into_pyarray(py))
}

/// Groups in redshift space by each galaxy's linking lengths.
#[pyfunction]
pub fn fof_sky<'py>(
    py: Python<'py>,
    ra: PyReadonlyArray1<'py, f64>,
    dec: PyReadonlyArray1<'py, f64>,
    distance: PyReadonlyArray1<'py, f64>,
    across: PyReadonlyArray1<'py, f64>,
    along: PyReadonlyArray1<'py, f64>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let [ra, dec, distance] =
        [ra.as_slice()?.to_vec(), dec.as_slice()?.to_vec(), distance.as_slice()?.to_vec()];
    let [across, along] = [across.as_slice()?.to_vec(), along.as_slice()?.to_vec()];
    let found = interruptible(py, move |_| {
        let galaxies = Galaxies {
            ra_deg: &ra,
            dec_deg: &dec,
            distance: &distance,
            across: &across,
            along: &along,
        };
        fof::link(galaxies).map(|found| labels(&found))
    })?;
    Ok(found.map_err(raised)?.into_pyarray(py))
}

/// Comoving distances, Mpc, in flat ΛCDM with h and matter, or in DESI's fiducial cosmology.
#[pyfunction]
pub fn comoving<'py>(
    py: Python<'py>,
    z: PyReadonlyArray1<'py, f64>,
    flat: Option<(f64, f64)>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let z = z.as_slice()?;
    let cosmology = match flat {
        Some((h, omega_m)) => Cosmology::flat(h, omega_m).map_err(|e| raised(e.to_string()))?,
        None => Cosmology::desi(),
    };
    Ok(py.detach(|| on_all_cores(|| cosmology.distances(z))).into_pyarray(py))
}

/// Cells and their neighbours.
#[pyfunction]
pub fn delaunay<'py>(
    py: Python<'py>,
    positions: PyReadonlyArray2<'py, f64>,
) -> PyResult<Cells<'py>> {
    let positions = places(&positions)?;
    let made = interruptible(py, move |wanted| {
        let made = Delaunay::while_wanted(&positions, wanted).map_err(raised)?;
        let mesh = made.mesh();
        PyResult::Ok((quads(mesh.cells)?, quads(mesh.neighbours)?))
    })?;
    let (cells, neighbours) = made?;
    Ok((cells.into_pyarray(py), neighbours.into_pyarray(py)))
}

/// Pieces of filaments, the filament of each, vertices and kinds of nodes, their persistence; density
/// and boundary of positions.
#[pyfunction]
pub fn skeleton<'py>(
    py: Python<'py>,
    positions: PyReadonlyArray2<'py, f64>,
    sigmas: f64,
    ratio: Option<f64>,
    smooth_density: usize,
    smooth: usize,
    keep_boundary: bool,
) -> PyResult<Lines<'py>> {
    let positions = places(&positions)?;
    let threshold = ratio.map_or(Threshold::Sigma(sigmas), Threshold::Ratio);
    let options = Options { threshold, smooth, keep_boundary };
    let made = interruptible(py, move |wanted| web(&positions, smooth_density, &options, wanted))?;
    let (skeleton, density) = made.map_err(raised)?;
    let pieces = skeleton.segments();
    let numbers = (0u32..).zip(&skeleton.filaments).flat_map(|(number, filament)| {
        std::iter::repeat_n(number, skeleton.line(filament).len().saturating_sub(1))
    });
    let flat = pieces.as_flattened().as_flattened().to_vec();
    let pieces = Array3::from_shape_vec((pieces.len(), 2, 3), flat).map_err(raised)?;
    let nodes = &skeleton.nodes;
    let kind = |kind| match kind {
        Kind::Minimum => 0u8,
        Kind::Saddle1 => 1,
        Kind::Saddle2 => 2,
        Kind::Maximum => 3,
        Kind::Bifurcation => 4,
    };
    Ok((
        pieces.into_pyarray(py),
        Array1::from_iter(numbers).into_pyarray(py),
        Array1::from_iter(nodes.iter().map(|node| node.vertex)).into_pyarray(py),
        Array1::from_iter(nodes.iter().map(|node| kind(node.kind))).into_pyarray(py),
        Array1::from_iter(nodes.iter().map(|node| node.persistence)).into_pyarray(py),
        density.values.into_pyarray(py),
        density.boundary.into_pyarray(py),
    ))
}

/// The skeleton, and the density that it was made of.
fn web(
    positions: &[[f64; 3]],
    smooth_density: usize,
    options: &Options,
    wanted: Wanted<'_>,
) -> Result<(Skeleton, Density), String> {
    options.threshold.ratios().map_err(|e| e.to_string())?;
    let made = Delaunay::while_wanted(positions, wanted).map_err(|e| e.to_string())?;
    let stars = Stars::new(made.mesh()).map_err(|e| e.to_string())?.while_wanted(wanted);
    let density = Density::new(&stars, 1.0, 0).map_err(|e| e.to_string())?;
    let mut smoothed = density.clone();
    for _ in 0..smooth_density {
        smoothed.values = dtfe::smooth(&stars, &smoothed.values).map_err(|e| e.to_string())?;
    }
    let skeleton = Skeleton::new(&stars, &smoothed, options).map_err(|e| e.to_string())?;
    Ok((skeleton, density))
}

/// Distance to the nearest of some segments, NaN where there is none.
#[pyfunction]
pub fn distance_to_segments<'py>(
    py: Python<'py>,
    positions: PyReadonlyArray2<'py, f64>,
    segments: PyReadonlyArray3<'py, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let positions = places(&positions)?;
    let array = segments.as_array();
    if array.shape()[1..] != [2, 3] {
        return Err(raised("segments have the shape (number, 2, 3)".to_owned()));
    }
    let end = |of: usize, row: usize| [0, 1, 2].map(|axis| array[[row, of, axis]]);
    let segments: Vec<_> = (0..array.shape()[0]).map(|row| [end(0, row), end(1, row)]).collect();
    let found = interruptible(py, move |wanted| {
        let tree = Segments::new(&segments)?;
        let mut found = Vec::with_capacity(positions.len());
        for some in positions.chunks(LOOKED_UP).take_while(|_| wanted.check().is_ok()) {
            found.extend(tree.nearest_of(some));
        }
        Ok(found)
    })?;
    let found: Vec<_> = found.map_err(|error: distance::Error| raised(error))?;
    let distance = found.iter().map(|nearest| nearest.map_or(f64::NAN, |nearest| nearest.distance));
    Ok(distance.collect::<Vec<_>>().into_pyarray(py))
}
