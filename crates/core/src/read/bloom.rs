//! Row groups that a value cannot be in, by the Bloom filters of their columns.
//!
//! Bounds say little of a column without order, such as identifiers of another survey; a filter says of
//! nearly every row group that has not the value that it has not. Ours have none: the catalog knows the
//! row of every TARGETID. Other writers make them, and what is asked by `=` or `IN` of such a column is
//! looked up in them before a page is read, where the filter is smaller than the column.

use super::file::Opened;
use crate::guard::guard;
use crate::predicate::{Predicate, column, needs};
use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::Length;
use parquet::schema::types::ColumnDescriptor;
use std::collections::BTreeSet;

/// Values that are looked up; of more of them some pass nearly every filter.
pub(super) const VALUES_MAX: usize = 64;

/// What rows that match must have in columns.
pub(super) struct Sought(Vec<(String, Values)>);

enum Values {
    Integers(BTreeSet<i64>),
    Texts(BTreeSet<String>),
}

impl Sought {
    /// Of a condition.
    pub(super) fn of(condition: &Predicate) -> Self {
        let sought = |name: &str| {
            let integers = needs::integers(condition, name).filter(|v| !v.is_empty());
            let texts = needs::texts(condition, name).filter(|v| !v.is_empty());
            let values = integers.map(Values::Integers).or(texts.map(Values::Texts))?;
            (values.count() <= VALUES_MAX).then(|| (name.to_owned(), values))
        };
        Self(condition.columns().into_iter().filter_map(sought).collect())
    }

    /// Whether a row group of a file may have rows that match. What cannot be read says nothing.
    pub(super) fn may_be_in(&self, file: &Opened, group: usize) -> bool {
        let parquet = file.metadata.metadata();
        let Some(chunks) = parquet.row_groups().get(group).map(|group| group.columns()) else {
            return true;
        };
        self.0.iter().all(|(name, values)| {
            let roots = parquet.file_metadata().schema_descr().root_schema().get_fields();
            let root = column::find_named(roots.iter().map(|root| root.name()), name);
            let is_it = |chunk: &&ColumnChunkMetaData| {
                let path = chunk.column_path().parts();
                path.len() == 1 && root.is_some_and(|root| roots[root].name() == path[0])
            };
            let chunk = chunks.iter().find(is_it);
            chunk.is_none_or(|chunk| {
                let is_in = |filter| values.any_is_in(&filter, chunk.column_descr());
                filter(file, chunk).is_none_or(is_in)
            })
        })
    }
}

impl Values {
    fn count(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }

    /// Whether the filter has one of them, in the bytes that a column writes it in.
    fn any_is_in(&self, filter: &Sbbf, column: &ColumnDescriptor) -> bool {
        match (self, column.physical_type()) {
            (Self::Integers(values), Type::INT64) if is_integer(column) => {
                values.iter().any(|value| filter.check(value))
            }
            (Self::Integers(values), Type::INT32) if is_integer(column) => {
                // unsigned ones are written in the same bits
                let bits = |value: &i64| {
                    i32::try_from(*value).or_else(|_| u32::try_from(*value).map(|v| v as i32))
                };
                values.iter().filter_map(|value| bits(value).ok()).any(|value| filter.check(&value))
            }
            (Self::Texts(values), Type::BYTE_ARRAY) if is_text(column) => {
                values.iter().any(|value| filter.check(value.as_str()))
            }
            _ => true,
        }
    }
}

fn is_integer(column: &ColumnDescriptor) -> bool {
    use ConvertedType as C;
    match column.logical_type_ref() {
        Some(LogicalType::Integer(_)) => true,
        Some(_) => false,
        None => matches!(
            column.converted_type(),
            C::NONE
                | C::INT_8
                | C::INT_16
                | C::INT_32
                | C::INT_64
                | C::UINT_8
                | C::UINT_16
                | C::UINT_32
                | C::UINT_64
        ),
    }
}

fn is_text(column: &ColumnDescriptor) -> bool {
    match column.logical_type_ref() {
        Some(logical) => *logical == LogicalType::String,
        None => column.converted_type() == ConvertedType::UTF8,
    }
}

/// The filter of a column chunk, where there is one, whole and smaller than the column.
fn filter(file: &Opened, chunk: &ColumnChunkMetaData) -> Option<Sbbf> {
    let start = u64::try_from(chunk.bloom_filter_offset()?).ok()?;
    let length = chunk.bloom_filter_length().map_or(Ok(1), u64::try_from).ok()?;
    let column = u64::try_from(chunk.compressed_size()).ok()?;
    if length == 0 || length > column || start.checked_add(length)? > file.handle.len() {
        return None;
    }
    let filter = guard(|| Sbbf::read_from_column_chunk(chunk, &file.handle)).ok()?.ok()??;
    (filter.num_blocks() > 0).then_some(filter)
}
