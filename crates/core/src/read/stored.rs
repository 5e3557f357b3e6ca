//! Stored of rows whose file says only where they are: read from the spectra store for the rows that
//! are delivered, and compared with what the file says of them.

use super::handle::Handle;
use super::schema::Shape;
use super::{Error, Source};
use crate::metadata::{DESCRIPTION, UCD, UNIT};
use crate::predicate::column;
use crate::spectrum::store::Store;
use crate::spectrum::{COLUMNS, Pixels, hash};
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, ListArray, PrimitiveArray, RecordBatch,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Field, FieldRef, Float32Type, Float64Type, Int32Type, Int64Type, Schema,
};
use arrow::error::ArrowError;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Where they are, of rows that have none.
pub(super) const PLACES: [&str; 4] = ["array_file", "array_group", "array_row", "array_hash"];
/// Folders between a lake and a tile's file: PRODUCT/dataset/Norder=k/Dir=d/Npix=n/NAME.
const DEPTH: usize = 6;
/// About what a row's arrays take, decoded.
pub(super) const ROW_BYTES: usize = 160_000;

/// Whether a file with such columns has its arrays elsewhere.
fn is_bare(has: impl Fn(&str) -> bool) -> bool {
    PLACES.into_iter().all(&has) && !COLUMNS.iter().any(|[name, ..]| has(name))
}

/// Columns that a file has by its spectra store, by the names of those that it has.
pub(crate) fn elsewhere<'a>(held: impl Iterator<Item = &'a str> + Clone) -> Vec<&'static str> {
    match is_bare(|name| column::find(held.clone(), name).is_some()) {
        true => COLUMNS.into_iter().map(|[name, ..]| name).collect(),
        false => Vec::new(),
    }
}

fn names(schema: &Schema) -> impl Iterator<Item = &str> {
    schema.fields().iter().map(|field| field.name().as_str())
}

/// The columns that a file has by its spectra store.
pub(super) fn fields(schema: &Schema) -> Vec<FieldRef> {
    if !is_bare(|name| column::find(names(schema), name).is_some()) {
        return Vec::new();
    }
    let types = [DataType::Float64, DataType::Float32, DataType::Float32, DataType::Int32];
    let field = |([name, unit, ucd, meaning], item): ([&str; 4], DataType)| {
        let item = Arc::new(Field::new("element", item, false));
        let said = [(UNIT, unit), (UCD, ucd), (DESCRIPTION, meaning)];
        let said = said.into_iter().filter(|(_, text)| !text.is_empty());
        let about = said.map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
        Arc::new(Field::new(name, DataType::List(item), false).with_metadata(about))
    };
    COLUMNS.into_iter().zip(types).map(field).collect()
}

/// Whether a column is one of arrays.
pub(super) fn is_array(name: &str) -> bool {
    COLUMNS.iter().any(|[array, ..]| column::fold(array) == column::fold(name))
}

/// The arrays of a file's rows.
pub(super) struct Stored {
    path: PathBuf,
    /// The lake, as a path or a URI.
    base: String,
    fields: Vec<FieldRef>,
    stores: HashMap<String, Store>,
}

impl Stored {
    /// Those that are wanted of a file; none where it has them itself, or none is.
    pub(super) fn of(source: &Source, schema: &Schema, shape: &Shape) -> Option<Self> {
        let mut fields = fields(schema);
        fields.retain(|field| column::find(names(&shape.schema), field.name()).is_some());
        let path = source.path.to_string_lossy();
        let base = path.rsplitn(DEPTH + 1, '/').nth(DEPTH).unwrap_or_default().to_owned();
        let stores = HashMap::new();
        (!fields.is_empty()).then(|| Self { path: source.path.clone(), base, fields, stores })
    }

    /// Rows with their arrays.
    pub(super) fn fill(&mut self, rows: &RecordBatch) -> Result<RecordBatch, Error> {
        let place = |at: usize| {
            let found = column::find(names(rows.schema_ref()), PLACES[at]);
            found.map(|at| rows.column(at)).filter(|column| column.null_count() == 0)
        };
        let texts = |at: usize| place(at).and_then(|column| column.as_string_opt::<i32>());
        let row = place(2).and_then(|column| column.as_primitive_opt::<Int32Type>());
        let said = place(3).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let (Some(files), Some(groups), Some(row), Some(said)) = (texts(0), texts(1), row, said)
        else {
            let reason = "where its arrays are is not as it should be";
            return Err(super::damaged(&self.path)(reason));
        };
        let places = files.iter().flatten().zip(groups.iter().flatten());
        let numbers = row.values().iter().zip(said.values());
        let mut found = Vec::with_capacity(rows.num_rows());
        for ((file, group), (row, said)) in places.zip(numbers) {
            found.push(self.pixels(file, group, u64::from(row.unsigned_abs()), *said)?);
        }
        self.beside(rows, &found).map_err(super::damaged(&self.path))
    }

    fn pixels(&mut self, file: &str, group: &str, row: u64, said: i64) -> Result<Pixels, Error> {
        let path = PathBuf::from(format!("{}/{file}", self.base));
        let own = self.path.clone();
        let elsewhere = |reason: &dyn std::fmt::Display| Error::Arrays {
            path: own.clone(),
            store: path.clone(),
            reason: reason.to_string(),
        };
        if !self.stores.contains_key(file) {
            let (handle, size_bytes) = Handle::open_any(&path).map_err(|e| elsewhere(&e))?;
            let store = Store::open(handle, size_bytes, &path).map_err(|e| elsewhere(&e))?;
            self.stores.insert(file.to_owned(), store);
        }
        let store = self.stores.get(file);
        let pixels = store.map_or(Ok(None), |store| store.pixels(group, row, None));
        match pixels.map_err(|e| elsewhere(&e))? {
            Some(pixels) if hash(&pixels.flux, &pixels.ivar, &pixels.mask) == said => Ok(pixels),
            _ => Err(elsewhere(&"it holds others in their place")),
        }
    }

    fn beside(&self, rows: &RecordBatch, found: &[Pixels]) -> Result<RecordBatch, ArrowError> {
        let mut fields = rows.schema_ref().fields().to_vec();
        let mut columns = rows.columns().to_vec();
        for field in &self.fields {
            columns.push(match column::fold(field.name()).as_str() {
                "wavelength" => lists::<Float64Type>(field, found, |p| &p.wavelength)?,
                "flux" => lists::<Float32Type>(field, found, |p| &p.flux)?,
                "ivar" => lists::<Float32Type>(field, found, |p| &p.ivar)?,
                _ => lists::<Int32Type>(field, found, |p| &p.mask)?,
            });
            fields.push(field.clone());
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    }
}

fn lists<T: ArrowPrimitiveType>(
    field: &FieldRef,
    found: &[Pixels],
    of: impl Fn(&Pixels) -> &[T::Native],
) -> Result<ArrayRef, ArrowError> {
    let DataType::List(item) = field.data_type() else {
        return Err(ArrowError::SchemaError(format!("{} is no list", field.name())));
    };
    let offsets = OffsetBuffer::from_lengths(found.iter().map(|pixels| of(pixels).len()));
    let values: Vec<T::Native> = found.iter().flat_map(of).copied().collect();
    let values = Arc::new(PrimitiveArray::<T>::new(values.into(), None));
    Ok(Arc::new(ListArray::try_new(item.clone(), offsets, values, None)?))
}
