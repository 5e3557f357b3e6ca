//! Which rows of a batch answer the question: condition and regions, exactly.

use crate::predicate::filter::Filter;
use crate::predicate::{self, Predicate, column};
use crate::sky::Region;
use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};

/// The test of rows, bound to the columns that it needs.
pub(super) struct Test<'a> {
    filter: Filter,
    regions: &'a [Region],
    place: Option<(usize, usize)>,
}

/// Positions in a schema of the columns that a question needs.
pub(super) fn columns_of(condition: &Predicate, regions: &[Region], schema: &Schema) -> Vec<usize> {
    let mut names = condition.columns();
    if !regions.is_empty() {
        names.extend(["ra", "dec"]);
    }
    let mut found: Vec<usize> =
        names.into_iter().filter_map(|name| position(schema, name)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn position(schema: &Schema, name: &str) -> Option<usize> {
    column::find_named(schema.fields().iter().map(|field| field.name().as_str()), name)
}

impl<'a> Test<'a> {
    pub(super) fn bind(
        condition: &Predicate,
        regions: &'a [Region],
        schema: &Schema,
    ) -> Result<Self, predicate::Error> {
        let mut place = None;
        if !regions.is_empty() {
            let (ra, dec) = (position(schema, "ra"), position(schema, "dec"));
            for index in [ra, dec].into_iter().flatten() {
                let field = schema.field(index);
                if !field.data_type().is_numeric() {
                    return Err(predicate::Error::Type {
                        column: field.name().clone(),
                        holds: predicate::filter::words(field.data_type()),
                        with: "a part of the sky".into(),
                    });
                }
            }
            place = ra.zip(dec);
        }
        Ok(Self { filter: Filter::bind(condition, schema)?, regions, place })
    }

    /// Rows that pass; never NULL.
    pub(super) fn passes(&self, batch: &RecordBatch) -> BooleanArray {
        let matched = self.filter.matches(batch);
        if self.regions.is_empty() {
            return matched;
        }
        let inside = match self.place {
            Some((ra, dec)) => inside(self.regions, batch, ra, dec),
            None => BooleanBuffer::new_unset(batch.num_rows()),
        };
        BooleanArray::new(matched.values() & &inside, None)
    }
}

/// Rows with a position in all regions; a position that is none lies in no region.
fn inside(regions: &[Region], batch: &RecordBatch, ra: usize, dec: usize) -> BooleanBuffer {
    let degrees = |index: usize| cast(batch.column(index), &DataType::Float64);
    let (Ok(ra), Ok(dec)) = (degrees(ra), degrees(dec)) else {
        // numbers always become doubles
        return BooleanBuffer::new_unset(batch.num_rows());
    };
    let (ra, dec) = (ra.as_primitive::<Float64Type>(), dec.as_primitive::<Float64Type>());
    BooleanBuffer::collect_bool(batch.num_rows(), |row| {
        let is_known = ra.is_valid(row) && dec.is_valid(row);
        let (ra_deg, dec_deg) = (ra.value(row), dec.value(row));
        is_known
            && ra_deg.is_finite()
            && (-90.0..=90.0).contains(&dec_deg)
            && regions.iter().all(|region| region.contains(ra_deg, dec_deg))
    })
}
