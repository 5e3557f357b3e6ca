//! One schema for files of several: what the files lack is NULL, what differs is widened.

use super::stored;
use super::zipped::Zipped;
use super::{Error, Source};
use crate::predicate::{Predicate, column};
use crate::resolution::Query;
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Given as the only column, it means all of them.
pub const COLUMNS_ALL: &str = "*";

/// What every file is brought to.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) schema: SchemaRef,
}

/// Which columns are delivered.
pub(super) enum Wanted<'a> {
    /// These, in this order.
    Named(&'a [String]),
    /// All of all products of the answer.
    All,
    /// All of the product, and of those beside it the columns that the question names.
    Own(Vec<String>),
}

impl<'a> Wanted<'a> {
    /// What names of columns mean, or none.
    pub(super) fn of(columns: Option<&'a [String]>, query: &Query, condition: &Predicate) -> Self {
        match columns {
            Some(names) if names == [COLUMNS_ALL] => Self::All,
            Some(names) => Self::Named(names),
            None => {
                let asked = query.columns.iter().flatten().map(|name| column::fold(name));
                Self::Own(condition.columns().into_iter().map(String::from).chain(asked).collect())
            }
        }
    }

    /// Whether a column is delivered, or may be.
    fn has(&self, name: &str) -> bool {
        match self {
            Self::Named(names) => names.iter().any(|n| column::fold(n) == column::fold(name)),
            Self::All | Self::Own(_) => true,
        }
    }

    /// Columns of files that zip, as far as they may be delivered.
    fn schema(&self, files: &Zipped) -> Schema {
        let all = with_arrays(files.schema());
        let Self::Own(beside) = self else { return all };
        let own = with_arrays(files.own_schema());
        let names = || all.fields().iter().map(|field| field.name().as_str());
        let beside: HashSet<usize> =
            beside.iter().filter_map(|name| column::find_named(names(), name)).collect();
        let fields = all.fields().iter().enumerate();
        let kept = fields.filter(|(at, field)| beside.contains(at) || find(&own, field).is_some());
        Schema::new(kept.map(|(_, field)| field.clone()).collect::<Vec<_>>())
    }
}

/// Columns of a file, and those that it has by its spectra store.
fn with_arrays(schema: Schema) -> Schema {
    let elsewhere = stored::fields(&schema);
    Schema::new(schema.fields().iter().cloned().chain(elsewhere).collect::<Vec<_>>())
}

impl Shape {
    /// Looks at one file of each schema and makes one schema of them.
    pub(super) fn of(sources: &[Source], wanted: &Wanted<'_>) -> Result<Self, Error> {
        let mut seen = HashSet::new();
        let mut union = Union::default();
        for source in sources {
            let files = || std::iter::once(source).chain(&source.aligned);
            let ids: Option<Vec<i32>> = files().map(|file| file.schema_id).collect();
            if ids.is_none_or(|ids| seen.insert(ids)) {
                let schema = wanted.schema(&Zipped::open(source, None)?);
                union.take(&schema, &source.path, wanted)?;
            }
        }
        let fields = match wanted {
            Wanted::Named(names) => union.chosen(names, sources.is_empty())?,
            Wanted::All | Wanted::Own(_) => union.all(),
        };
        Ok(Self { schema: Arc::new(Schema::new(fields)) })
    }

    /// Whether arrays are delivered, which files may have elsewhere.
    pub(super) fn has_arrays(&self) -> bool {
        self.schema.fields().iter().any(|field| stored::is_array(field.name()))
    }

    /// Which columns of a file are delivered, or say where its arrays are, as positions in its schema,
    /// ascending.
    pub(super) fn columns_of(&self, schema: &Schema, with_places: bool) -> Vec<usize> {
        let mut found: Vec<usize> =
            self.schema.fields().iter().filter_map(|field| find(schema, field)).collect();
        let names = || schema.fields().iter().map(|field| field.name().as_str());
        let places = stored::PLACES.iter().filter_map(|place| column::find(names(), place));
        found.extend(places.filter(|_| with_places));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Brings a batch to the common schema.
    pub(super) fn cast(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let found = batch.schema();
        let columns = self.schema.fields().iter().map(|field| match find(&found, field) {
            Some(index) => cast_exactly(batch.column(index), field.data_type()),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
    }
}

fn find(schema: &Schema, field: &Field) -> Option<usize> {
    column::find(schema.fields().iter().map(|f| f.name().as_str()), field.name())
}

/// Columns of all files so far.
#[derive(Default)]
struct Union {
    fields: Vec<FieldRef>,
    files: usize,
}

impl Union {
    fn take(&mut self, schema: &Schema, path: &Path, wanted: &Wanted<'_>) -> Result<(), Error> {
        let mut here = HashSet::new();
        for field in schema.fields() {
            if !here.insert(field.name()) && wanted.has(field.name()) {
                let column = field.name().clone();
                return Err(Error::Twice { column, path: path.to_owned() });
            }
            let names = self.fields.iter().map(|f| f.name().as_str());
            match column::find(names, field.name()) {
                Some(index) if self.files > 0 => {
                    if let Some(known) = self.fields.get_mut(index) {
                        *known = merged(known, field, path, wanted)?;
                    }
                }
                // two columns of one file whose names differ in case only: both are delivered
                _ => self.fields.push(match self.files {
                    0 => field.clone(),
                    _ => Arc::new(field.as_ref().clone().with_nullable(true)),
                }),
            }
        }
        for known in &mut self.fields {
            if find(schema, known).is_none() {
                *known = Arc::new(known.as_ref().clone().with_nullable(true));
            }
        }
        self.files += 1;
        Ok(())
    }

    /// All columns; where arrays are is not among them, for they are.
    fn all(self) -> Vec<FieldRef> {
        let mut fields = self.fields;
        if fields.iter().any(|field| stored::is_array(field.name())) {
            fields.retain(|field| !stored::PLACES.contains(&field.name().as_str()));
        }
        fields
    }

    fn chosen(&self, names: &[String], is_empty: bool) -> Result<Vec<FieldRef>, Error> {
        let known = || self.fields.iter().map(|field| field.name().as_str());
        let mut chosen = Vec::new();
        for name in names {
            match column::find(known(), name).and_then(|index| self.fields.get(index)) {
                Some(field) => chosen.push(field.clone()),
                None if is_empty => {}
                None => column::require(known().collect::<Vec<_>>(), name)?,
            }
        }
        Ok(chosen)
    }
}

fn merged(
    known: &FieldRef,
    field: &FieldRef,
    path: &Path,
    wanted: &Wanted<'_>,
) -> Result<FieldRef, Error> {
    let both = (known.data_type(), field.data_type());
    let data_type = match common(both.0, both.1) {
        Some(data_type) => data_type,
        None if !wanted.has(known.name()) => both.0.clone(),
        None => {
            return Err(Error::Types {
                column: known.name().clone(),
                one: both.0.to_string(),
                other: both.1.to_string(),
                path: path.to_owned(),
            });
        }
    };
    let nullable = known.is_nullable() || field.is_nullable();
    Ok(Arc::new(known.as_ref().clone().with_data_type(data_type).with_nullable(nullable)))
}

/// The narrowest type that holds the values of both; none for text and numbers together.
fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{
        Dictionary, Float16, Float32, Float64, Int8, Int16, Int32, Int64, LargeList, LargeUtf8,
        List, Null, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (Null, other) | (other, Null) => other.clone(),
        (Dictionary(_, a), b) | (b, Dictionary(_, a)) => return common(a, b),
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => {
            if *a == LargeUtf8 || *b == LargeUtf8 { LargeUtf8 } else { Utf8 }
        }
        (Float16 | Float32, Float16 | Float32) => Float32,
        (a, b) if a.is_floating() && b.is_numeric() || b.is_floating() && a.is_numeric() => Float64,
        (UInt64, other) | (other, UInt64) if other.is_unsigned_integer() => UInt64,
        (UInt8 | UInt16 | UInt32, UInt8 | UInt16 | UInt32) => UInt32,
        (Int8 | Int16 | Int32 | UInt8 | UInt16, Int8 | Int16 | Int32 | UInt8 | UInt16) => Int32,
        (UInt64, _) | (_, UInt64) => return None,
        (a, b) if a.is_integer() && b.is_integer() => Int64,
        (List(a), List(b)) => List(item(a, b)?),
        (List(a) | LargeList(a), List(b) | LargeList(b)) => LargeList(item(a, b)?),
        _ => return None,
    })
}

fn item(a: &FieldRef, b: &FieldRef) -> Option<FieldRef> {
    let data_type = common(a.data_type(), b.data_type())?;
    Some(Arc::new(a.as_ref().clone().with_data_type(data_type).with_nullable(true)))
}

/// Casts; an integer that a floating-point column cannot hold is an error, not another number.
fn cast_exactly(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    let done = cast(array, to)?;
    let is_exact = !(array.data_type().is_integer() && to.is_floating())
        || cast(&done, array.data_type())?.to_data() == array.to_data();
    if is_exact && done.null_count() == array.null_count() {
        Ok(done)
    } else {
        let from = array.data_type();
        Err(ArrowError::CastError(format!("values of type {from} do not fit {to}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};

    #[test]
    fn common_types_lose_nothing() {
        use DataType::*;
        let dictionary = Dictionary(Box::new(Int16), Box::new(Utf8));
        for (a, b, wanted) in [
            (Float32, Float64, Some(Float64)),
            (Int16, Int64, Some(Int64)),
            (UInt8, Int8, Some(Int32)),
            (UInt32, Int32, Some(Int64)),
            (UInt64, Int8, None),
            (UInt64, UInt8, Some(UInt64)),
            (dictionary, LargeUtf8, Some(LargeUtf8)),
            (Int64, Float32, Some(Float64)),
            (Utf8, Int64, None),
            (Null, Utf8, Some(Utf8)),
        ] {
            assert_eq!(common(&a, &b), wanted, "{a} with {b}");
            assert_eq!(common(&b, &a), wanted, "{b} with {a}");
        }
    }

    #[test]
    fn a_target_id_never_becomes_another() {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(39_627_800_000_000_001), None]));
        assert!(cast_exactly(&ids, &DataType::Float64).is_err());
        let small: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None]));
        assert!(cast_exactly(&small, &DataType::Float64).is_ok());
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        assert!(cast_exactly(&text, &DataType::LargeUtf8).is_ok());
    }
}
