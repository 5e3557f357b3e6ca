//! The answer to a question: files, and the way to their rows.

use crate::lake::{Opened, text};
use crate::recipe::Recipe;
use bifrost_core::resolution::{self, Detail, Query};
use bifrost_core::{read, snapshot};
use pyo3::prelude::*;
use std::path::PathBuf;

/// An answer.
#[pyclass(frozen, module = "bifrost._bifrost")]
pub struct Resolution {
    lake: Opened,
    query: Query,
    answer: resolution::Resolution,
}

impl Resolution {
    pub fn new(lake: Opened, query: Query, answer: resolution::Resolution) -> Self {
        Self { lake, query, answer }
    }
}

#[pymethods]
impl Resolution {
    /// The registry's commit that it is as of.
    #[getter]
    fn commit(&self) -> i64 {
        self.answer.commit
    }

    /// What was left out for want of other products, in words.
    #[getter]
    fn left_out(&self) -> Option<String> {
        self.answer.left_out()
    }

    fn __len__(&self) -> usize {
        self.answer.files.len()
    }

    /// Paths and URIs that can be opened from here.
    fn uris(&self) -> Vec<&str> {
        self.answer.files.iter().filter_map(|file| file.uri.as_deref()).collect()
    }

    /// All of it, as `bifrost resolve --json` gives it.
    fn json(&self) -> PyResult<String> {
        text(&self.answer)
    }

    /// What each step left out, as JSON.
    fn explained(&self, py: Python<'_>) -> PyResult<String> {
        let query = Query { as_of: self.query.as_of, ..self.query.clone() };
        let answer = self.lake.wait(py, self.lake.session.resolve(&query, Detail::Explained));
        text(&answer?.pruned)
    }

    /// Saves it as a snapshot; gives the digest by which it is cited.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<String> {
        let query = Query { as_of: Some(self.answer.commit), ..self.query.clone() };
        let saved = snapshot::save(self.lake.session.registry(), &query, &path);
        Ok(self.lake.wait(py, saved)?.id)
    }

    /// Which columns have NULL in some of the rows, or may have, as far as the registry knows.
    fn nullable(&self, py: Python<'_>, columns: Vec<String>) -> PyResult<Vec<String>> {
        let found = self.lake.session.nullable(&self.answer, &self.query, columns);
        self.lake.wait(py, found)
    }

    /// What to read of it: a portion a file.
    #[pyo3(signature = (columns=None))]
    fn recipe(&self, py: Python<'_>, columns: Option<Vec<String>>) -> PyResult<Recipe> {
        let (answer, query, columns) = (&self.answer, &self.query, columns.as_deref());
        // what the registry need not be asked for is there in a forked process, too
        let (recipe, portions) = match py.detach(|| read::Recipe::of(answer, query, columns)) {
            Ok(found) => found,
            Err(_) => self.lake.wait(py, self.lake.session.recipe(answer, query, columns))?,
        };
        Ok(Recipe::new(recipe, portions))
    }
}
