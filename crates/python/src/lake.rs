//! A lake's registry, and questions to it.

use crate::error::{Error, Fault, raised};
use crate::recipe::Stream;
use crate::resolution::Resolution;
use crate::spectra::{self, Told};
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use bifrost_core::crossmatch::{List, crossmatch};
use bifrost_core::history::{Point, commit_at};
use bifrost_core::predicate::Predicate;
use bifrost_core::process::{Process, keep};
use bifrost_core::read::Options;
use bifrost_core::resolution::{Detail, Query};
use bifrost_core::session::{At, Session};
use bifrost_core::sky::region::Spelled;
use bifrost_core::sky::{Moc, Region};
use bifrost_core::snapshot::{self, Saved};
use bifrost_core::spectrum::{Spectra, Which};
use pyo3::prelude::*;
use pyo3_arrow::{PyArray, PyRecordBatchReader};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// An open registry.
#[pyclass(frozen, module = "bifrost._bifrost")]
pub struct Lake(Opened);

/// What a lake and its answers share, until the last of them ends.
#[derive(Clone)]
pub struct Opened(Arc<Open>);

/// A session and what runs it.
pub struct Open {
    pub session: Session,
    pub spectra: Spectra,
    runtime: Runtime,
    process: Process,
}

impl Open {
    /// Waits for work, other Python threads going on. A forked process has none of the threads that would
    /// do it, and shares sockets and events with the one that has.
    pub fn wait<T: Send, E: Into<Fault> + Send>(
        &self,
        py: Python<'_>,
        work: impl Future<Output = Result<T, E>> + Send,
    ) -> PyResult<T> {
        if self.process.is_left() {
            return Err(Error::new_err(
                "the lake was opened by the process that this one was forked from: ask a lake of this process",
            ));
        }
        py.detach(|| self.runtime.block_on(work)).map_err(raised)
    }
}

impl Deref for Opened {
    type Target = Open;

    fn deref(&self) -> &Open {
        &self.0
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if self.process.is_left() {
            // to end it would be to wait for its threads, and for the locks that they held
            keep(self.0.clone());
        }
    }
}

#[pymethods]
impl Lake {
    #[new]
    #[pyo3(signature = (lake=None, database_url=None, postgres_bin=None))]
    fn new(
        py: Python<'_>,
        lake: Option<PathBuf>,
        database_url: Option<String>,
        postgres_bin: Option<PathBuf>,
    ) -> PyResult<Self> {
        let at = At { lake, database_url, postgres_bin };
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let session = py.detach(|| runtime.block_on(Session::open(&at))).map_err(raised)?;
        let spectra = Spectra::new(session.registry().clone());
        let process = Process::this();
        Ok(Self(Opened(Arc::new(Open { session, spectra, runtime, process }))))
    }

    /// Where its registry is.
    #[getter]
    fn place(&self) -> &str {
        self.0.session.registry().place()
    }

    /// Which files and row groups may hold what is asked for. Regions come as (kind, text).
    #[pyo3(signature = (predicate=None, regions=Vec::new(), target_ids=None, sql=None, product=None, as_of=None, columns=None))]
    #[expect(clippy::too_many_arguments, reason = "a question has so many sides")]
    fn resolve(
        &self,
        py: Python<'_>,
        predicate: Option<&str>,
        regions: Vec<(String, String)>,
        target_ids: Option<PyArray>,
        sql: Option<String>,
        product: Option<String>,
        as_of: Option<&str>,
        columns: Option<Vec<String>>,
    ) -> PyResult<Resolution> {
        let regions = regions.iter().map(|(kind, text)| region(kind, text));
        let query = Query {
            predicate: predicate.map(Predicate::parse).transpose().map_err(raised)?,
            regions: regions.collect::<PyResult<_>>()?,
            target_ids: target_ids.map(integers).transpose()?,
            sql,
            product,
            as_of: as_of.map(|text| self.commit(py, text)).transpose()?,
            columns,
        };
        let answer = self.0.wait(py, self.0.session.resolve(&query, Detail::Files))?;
        Ok(Resolution::new(self.0.clone(), query, answer))
    }

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
        spectra::one(&self.0, py, target_id, &Which { release, survey, program }, coadded)
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
        spectra::many(&self.0, py, &target_ids, &Which { release, survey, program }, coadded)
    }

    /// Rows near positions, as an Arrow stream.
    #[pyo3(signature = (ra, dec, radius_arcsec, nearest, predicate=None, product=None, columns=None))]
    #[expect(clippy::too_many_arguments, reason = "a question has so many sides")]
    fn crossmatch(
        &self,
        py: Python<'_>,
        ra: PyArray,
        dec: PyArray,
        radius_arcsec: f64,
        nearest: bool,
        predicate: Option<&str>,
        product: Option<String>,
        columns: Option<Vec<String>>,
    ) -> PyResult<PyRecordBatchReader> {
        let positions = degrees(ra)?.into_iter().zip(degrees(dec)?).collect();
        let list = List { positions, radius_arcsec, nearest };
        let predicate = predicate.map(Predicate::parse).transpose().map_err(raised)?;
        let query = Query { predicate, product, ..Query::default() };
        let options = Options { columns, ..Options::default() };
        let found = self.0.wait(py, crossmatch(&self.0.session, &list, &query, &options))?;
        let schema = found.schema();
        Ok(PyRecordBatchReader::new(Box::new(Stream::new(schema, found))))
    }

    /// The answer that a snapshot holds.
    fn opened(&self, py: Python<'_>, path: PathBuf) -> PyResult<Resolution> {
        let saved = Saved::read(&path).map_err(raised)?;
        let answer = self.0.wait(py, snapshot::answer(self.0.session.registry(), &saved));
        let (query, answer) = answer?;
        Ok(Resolution::new(self.0.clone(), query, answer))
    }

    /// Whether a snapshot still holds, as JSON.
    #[pyo3(signature = (path, deep, pin))]
    fn replayed(&self, py: Python<'_>, path: PathBuf, deep: bool, pin: bool) -> PyResult<String> {
        let saved = Saved::read(&path).map_err(raised)?;
        if pin {
            self.0.wait(py, snapshot::pin(self.0.session.registry(), &saved))?;
        }
        let report = self.0.wait(py, snapshot::replay(self.0.session.registry(), saved, deep));
        text(&report?)
    }
}

impl Lake {
    fn commit(&self, py: Python<'_>, text: &str) -> PyResult<i64> {
        let point: Point = text.parse().map_err(raised)?;
        self.0.wait(py, commit_at(self.0.session.registry(), point))
    }
}

fn region(kind: &str, text: &str) -> PyResult<Region> {
    let text = text.to_owned();
    let spelled = match kind {
        "cone" => Spelled::Cone(text),
        "polygon" => Spelled::Polygon(text),
        "box" => Spelled::Box(text),
        "moc" => Spelled::Moc(text),
        _ => return Moc::read(text.as_ref()).map(Region::Moc).map_err(raised),
    };
    Region::try_from(&spelled).map_err(raised)
}

/// Degrees; NaN where there are none.
fn degrees(array: PyArray) -> PyResult<Vec<f64>> {
    let (array, _) = array.into_inner();
    let array = cast(&array, &DataType::Float64)
        .map_err(|error| crate::error::UsageError::new_err(format!("positions: {error}")))?;
    Ok(array.as_primitive::<Float64Type>().iter().map(|x| x.unwrap_or(f64::NAN)).collect())
}

/// TARGETIDs, each once.
fn integers(array: PyArray) -> PyResult<Vec<i64>> {
    let (array, _) = array.into_inner();
    let array = cast(&array, &DataType::Int64)
        .map_err(|error| crate::error::UsageError::new_err(format!("TARGETIDs: {error}")))?;
    let mut ids: Vec<i64> = array.as_primitive::<Int64Type>().iter().flatten().collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// JSON of what is made of numbers and text.
pub fn text(value: &impl serde::Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| crate::error::Error::new_err(error.to_string()))
}
