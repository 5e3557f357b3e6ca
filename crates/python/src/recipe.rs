//! Rows to be read, here or in another process, as Arrow streams.

use crate::error::{UsageError, raised};
use crate::lake::text;
use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use bifrost_core::process::Process;
use bifrost_core::read::{self, Options, Portion, Reading};
use pyo3::prelude::*;
use pyo3_arrow::{PyRecordBatch, PyRecordBatchReader, PySchema};
use std::sync::{Mutex, PoisonError};

/// What to read, and in which portions.
#[pyclass(frozen, module = "bifrost._bifrost")]
pub struct Recipe {
    recipe: read::Recipe,
    portions: Vec<Portion>,
}

impl Recipe {
    pub fn new(recipe: read::Recipe, portions: Vec<Portion>) -> Self {
        Self { recipe, portions }
    }
}

#[pymethods]
impl Recipe {
    /// One that was written down with [`Recipe::written`].
    #[staticmethod]
    fn restored(recipe: &str, portions: &str, schema: PySchema) -> PyResult<Self> {
        let recipe = read::Recipe::from_text(recipe, schema.into_inner()).map_err(raised)?;
        let portions = serde_json::from_str(portions)
            .map_err(|error| UsageError::new_err(error.to_string()))?;
        Ok(Self { recipe, portions })
    }

    /// Recipe and portions as text; the schema goes by itself.
    fn written(&self) -> PyResult<(String, String)> {
        Ok((self.recipe.to_text().map_err(raised)?, text(&self.portions)?))
    }

    /// Columns of every batch.
    #[getter]
    fn schema(&self) -> PySchema {
        PySchema::new(self.recipe.schema())
    }

    fn __len__(&self) -> usize {
        self.portions.len()
    }

    /// Of each portion: node, URI, rows at most, bytes of its file.
    fn portions(&self) -> Vec<(String, String, u64, u64)> {
        let about = |portion: &Portion| {
            let node = portion.node.to_string();
            (node, portion.uri(), portion.rows_at_most, portion.file_bytes())
        };
        self.portions.iter().map(about).collect()
    }

    /// The same recipe for some of its portions, in the order given.
    fn some(&self, which: Vec<usize>) -> Self {
        let portions = which.iter().filter_map(|at| self.portions.get(*at).cloned()).collect();
        Self { recipe: self.recipe.clone(), portions }
    }

    /// The same in portions of whole row groups: of at most so many rows, or one row group.
    fn split(&self, rows: u64) -> Self {
        let portions = self.portions.iter().cloned().flat_map(|portion| portion.split(rows));
        Self { recipe: self.recipe.clone(), portions: portions.collect() }
    }

    /// How many rows match.
    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        let reading = self.recipe.bare().read(self.portions.clone(), &Options::default());
        let count = |reading: Reading| {
            reading.map(|batch| Ok(batch?.num_rows() as u64)).sum::<Result<u64, read::Error>>()
        };
        py.detach(|| count(reading)).map_err(raised)
    }

    /// Rows as an Arrow stream, read ahead by threads of its own.
    #[pyo3(signature = (limit=None, threads=None, batch_bytes=None))]
    fn stream(
        &self,
        limit: Option<u64>,
        threads: Option<usize>,
        batch_bytes: Option<usize>,
    ) -> PyRecordBatchReader {
        let rows = self.reading(limit, threads, batch_bytes);
        PyRecordBatchReader::new(Box::new(Stream::new(rows.schema(), rows)))
    }

    /// Rows batch by batch; errors are raised as they are.
    #[pyo3(signature = (limit=None, threads=None, batch_bytes=None))]
    fn batches(
        &self,
        limit: Option<u64>,
        threads: Option<usize>,
        batch_bytes: Option<usize>,
    ) -> Batches {
        let reading = Mutex::new(Some(self.reading(limit, threads, batch_bytes)));
        Batches { reading, process: Process::this() }
    }
}

impl Recipe {
    fn reading(
        &self,
        limit: Option<u64>,
        threads: Option<usize>,
        batch_bytes: Option<usize>,
    ) -> Reading {
        let usual = Options::default();
        let options = Options {
            columns: None,
            limit,
            threads: threads.unwrap_or(usual.threads),
            batch_bytes: batch_bytes.unwrap_or(usual.batch_bytes),
        };
        self.recipe.read(self.portions.clone(), &options)
    }
}

/// Rows as Arrow wants to have them.
pub struct Stream<R> {
    schema: SchemaRef,
    rows: R,
}

impl<R> Stream<R> {
    pub fn new(schema: SchemaRef, rows: R) -> Self {
        Self { schema, rows }
    }
}

impl<R: Iterator<Item = Result<RecordBatch, read::Error>>> Iterator for Stream<R> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.rows.next()?.map_err(|error| ArrowError::ExternalError(Box::new(error))))
    }
}

impl<R: Iterator<Item = Result<RecordBatch, read::Error>>> RecordBatchReader for Stream<R> {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// Rows under way.
#[pyclass(frozen, module = "bifrost._bifrost")]
pub struct Batches {
    reading: Mutex<Option<Reading>>,
    process: Process,
}

#[pymethods]
impl Batches {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<PyRecordBatch>> {
        if self.process.is_left() {
            return Err(raised(read::Error::Forked));
        }
        let next = py.detach(|| {
            let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
            reading.as_mut().and_then(Iterator::next)
        });
        // Ctrl-C is noticed between batches
        py.check_signals()?;
        Ok(next.transpose().map_err(raised)?.map(PyRecordBatch::new))
    }

    /// Lets the threads end, if they are those of this process.
    fn close(&self) {
        if self.process.is_left() {
            return;
        }
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
