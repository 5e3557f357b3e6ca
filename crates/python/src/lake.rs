//! A lake's registry, and questions to it.

use crate::error::raised;
use crate::resolution::Resolution;
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use bifrost_core::history::{Point, commit_at};
use bifrost_core::predicate::Predicate;
use bifrost_core::resolution::{Detail, Query};
use bifrost_core::session::{At, Session};
use bifrost_core::sky::region::Spelled;
use bifrost_core::sky::{Moc, Region};
use bifrost_core::snapshot::{self, Saved};
use pyo3::prelude::*;
use pyo3_arrow::PyArray;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// An open registry.
#[pyclass(frozen, module = "bifrost._bifrost")]
pub struct Lake(Arc<Open>);

/// A session and what runs it.
pub struct Open {
    pub session: Session,
    runtime: Runtime,
}

impl Open {
    /// Waits for work, other Python threads going on.
    pub fn wait<T: Send>(&self, py: Python<'_>, work: impl Future<Output = T> + Send) -> T {
        py.detach(|| self.runtime.block_on(work))
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
        Ok(Self(Arc::new(Open { session, runtime })))
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
        let answer = self.0.wait(py, self.0.session.resolve(&query, Detail::Files));
        Ok(Resolution::new(self.0.clone(), query, answer.map_err(raised)?))
    }

    /// The answer that a snapshot holds.
    fn opened(&self, py: Python<'_>, path: PathBuf) -> PyResult<Resolution> {
        let saved = Saved::read(&path).map_err(raised)?;
        let answer = self.0.wait(py, snapshot::answer(self.0.session.registry(), &saved));
        let (query, answer) = answer.map_err(raised)?;
        Ok(Resolution::new(self.0.clone(), query, answer))
    }

    /// Whether a snapshot still holds, as JSON.
    #[pyo3(signature = (path, deep=false))]
    fn replayed(&self, py: Python<'_>, path: PathBuf, deep: bool) -> PyResult<String> {
        let saved = Saved::read(&path).map_err(raised)?;
        let report = self.0.wait(py, snapshot::replay(self.0.session.registry(), saved, deep));
        text(&report.map_err(raised)?)
    }
}

impl Lake {
    fn commit(&self, py: Python<'_>, text: &str) -> PyResult<i64> {
        let point: Point = text.parse().map_err(raised)?;
        self.0.wait(py, commit_at(self.0.session.registry(), point)).map_err(raised)
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
    serde_json::to_string(value)
        .map_err(|error| crate::error::BifrostError::new_err(error.to_string()))
}
