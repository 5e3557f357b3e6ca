//! Which rows of a batch answer the question: condition and cone, exactly.

use crate::predicate::filter::Filter;
use crate::predicate::{self, Predicate, column};
use crate::sky::Cone;
use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};

/// The test of rows, bound to the columns that it needs.
pub(super) struct Test {
    filter: Filter,
    cone: Option<(Cone, Option<(usize, usize)>)>,
}

/// Positions in a schema of the columns that a question needs.
pub(super) fn columns_of(
    condition: &Predicate,
    cone: Option<&Cone>,
    schema: &Schema,
) -> Vec<usize> {
    let mut names = condition.columns();
    if cone.is_some() {
        names.extend(["ra", "dec"]);
    }
    let mut found: Vec<usize> =
        names.into_iter().filter_map(|name| position(schema, name)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn position(schema: &Schema, name: &str) -> Option<usize> {
    column::find(schema.fields().iter().map(|field| field.name().as_str()), name)
}

impl Test {
    pub(super) fn bind(
        condition: &Predicate,
        cone: Option<Cone>,
        schema: &Schema,
    ) -> Result<Self, predicate::Error> {
        let place = |cone: Cone| {
            let (ra, dec) = (position(schema, "ra"), position(schema, "dec"));
            for index in [ra, dec].into_iter().flatten() {
                let field = schema.field(index);
                if !field.data_type().is_numeric() {
                    return Err(predicate::Error::Type {
                        column: field.name().clone(),
                        holds: predicate::filter::words(field.data_type()),
                        with: "a cone".into(),
                    });
                }
            }
            Ok((cone, ra.zip(dec)))
        };
        Ok(Self { filter: Filter::bind(condition, schema)?, cone: cone.map(place).transpose()? })
    }

    /// Rows that pass; never NULL.
    pub(super) fn passes(&self, batch: &RecordBatch) -> BooleanArray {
        let matched = self.filter.matches(batch);
        match &self.cone {
            None => matched,
            Some((cone, place)) => {
                let inside = match place {
                    Some((ra, dec)) => inside(cone, batch, *ra, *dec),
                    None => BooleanBuffer::new_unset(batch.num_rows()),
                };
                BooleanArray::new(matched.values() & &inside, None)
            }
        }
    }
}

/// Rows with a position in the cone; a position that is none lies in no cone.
fn inside(cone: &Cone, batch: &RecordBatch, ra: usize, dec: usize) -> BooleanBuffer {
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
            && cone.contains(ra_deg, dec_deg)
    })
}
