//! A total order of vertices.

use super::Error;
use rayon::prelude::*;

/// Vertices by value, those of equal value by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// For each vertex, how many come before it.
    pub(crate) rank: Vec<u32>,
    /// The vertices, first to last.
    pub(crate) vertices: Vec<u32>,
}

impl Order {
    /// The least value first.
    ///
    /// # Errors
    /// A value that is NaN; more values than 32 bits number.
    pub fn ascending(values: &[f64]) -> Result<Self, Error> {
        Self::new(values, false)
    }

    /// [`Self::ascending`], reversed: the greatest value first, of equal ones the last.
    ///
    /// # Errors
    /// As [`Self::ascending`].
    pub fn descending(values: &[f64]) -> Result<Self, Error> {
        Self::new(values, true)
    }

    /// For each vertex, how many come before it.
    #[must_use]
    pub fn ranks(&self) -> &[u32] {
        &self.rank
    }

    /// The vertices, first to last.
    #[must_use]
    pub fn vertices(&self) -> &[u32] {
        &self.vertices
    }

    fn new(values: &[f64], reverse: bool) -> Result<Self, Error> {
        let count = u32::try_from(values.len());
        let count = count.map_err(|_| crate::star::Error::TooMany(values.len()))?;
        if let Some(vertex) = values.iter().position(|value| value.is_nan()) {
            return Err(Error::NotANumber(vertex));
        }
        // zeros are equal; all else orders as f64::total_cmp does
        let value = |vertex: u32| values[vertex as usize] + 0.0;
        let mut vertices: Vec<u32> = (0..count).collect();
        vertices.par_sort_unstable_by(|&a, &b| value(a).total_cmp(&value(b)).then(a.cmp(&b)));
        if reverse {
            vertices.reverse();
        }
        let mut rank = vec![0; values.len()];
        for (place, &vertex) in (0..).zip(&vertices) {
            rank[vertex as usize] = place;
        }
        Ok(Self { rank, vertices })
    }
}
