//! The draft of what a stage makes: keys, then the stage's columns; provenance in the footer.

use super::Fault;
use crate::hashed::Hashed;
use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Float16Type, Float32Type, Float64Type, SchemaRef};
use bifrost_core::metadata;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Rows of a row group, at most: products are narrow.
const GROUP_ROWS: usize = 1 << 16;
/// Bytes of a row group that are held, at most.
const GROUP_BYTES: usize = 64 << 20;

/// A draft being written.
pub(crate) struct Output {
    writer: ArrowWriter<Hashed>,
    schema: SchemaRef,
}

impl Output {
    pub(crate) fn create(
        path: &Path,
        schema: SchemaRef,
        sorting: Option<Vec<SortingColumn>>,
    ) -> Result<Self, Fault> {
        let level = ZstdLevel::try_new(1).map_err(Fault::writing)?;
        let mut properties = WriterProperties::builder()
            .set_created_by(format!("bifrost {}", bifrost_core::VERSION))
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_statistics_truncate_length(None)
            .set_column_index_truncate_length(None)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_sorting_columns(sorting);
        // bounds of arrays tell nothing, and their values seldom repeat
        for (path, item) in schema.fields().iter().filter_map(|field| array(field)) {
            properties = properties
                .set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
                .set_column_dictionary_enabled(path.clone(), false);
            if item.is_floating() {
                properties = properties.set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT);
            }
        }
        let properties = properties.build();
        let file = Hashed::create(path).map_err(|e| Fault::Disk(e.to_string()))?;
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties));
        Ok(Self { writer: writer.map_err(Fault::writing)?, schema })
    }

    /// Writes rows; what is not a number is NULL.
    pub(crate) fn write(&mut self, columns: Vec<ArrayRef>) -> Result<(), Fault> {
        let columns = columns.into_iter().map(without_nan).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns);
        let batch = batch.map_err(|error| Fault::stage(&error))?;
        self.writer.write(&batch).map_err(Fault::writing)?;
        if self.writer.in_progress_size() > GROUP_BYTES {
            self.writer.flush().map_err(Fault::writing)?;
        }
        Ok(())
    }

    /// Writes the footer with `about` in it, and the content's checksum.
    pub(crate) fn finish(mut self, about: Vec<(&str, String)>) -> Result<(), Fault> {
        self.writer.flush().map_err(Fault::writing)?;
        // the writer has a buffer of its own: what lies there must be in the checksum, too
        self.writer.sync().map_err(|e| Fault::Disk(e.to_string()))?;
        let content = self.writer.inner_mut().content().to_string();
        for (key, value) in about.into_iter().chain([(metadata::CONTENT, content)]) {
            self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        self.writer.finish().map_err(Fault::writing)?;
        self.writer.inner_mut().flush().map_err(|e| Fault::Disk(e.to_string()))
    }
}

/// The column in which Parquet keeps the values of a list, and their type.
fn array(field: &Field) -> Option<(ColumnPath, &DataType)> {
    let DataType::List(item) = field.data_type() else { return None };
    let path = vec![field.name().clone(), "list".to_owned(), item.name().clone()];
    Some((ColumnPath::from(path), item.data_type()))
}

/// Our files hold no NaN in scalar columns: readers leave row groups out because of it.
fn without_nan(column: ArrayRef) -> ArrayRef {
    macro_rules! finite {
        ($kind:ty) => {{
            let values = column.as_primitive::<$kind>();
            if values.values().iter().any(|value| value.is_nan()) {
                let finite = values.unary_opt::<_, $kind>(|x| (!x.is_nan()).then_some(x));
                return Arc::new(finite);
            }
        }};
    }
    match column.data_type() {
        DataType::Float16 => finite!(Float16Type),
        DataType::Float32 => finite!(Float32Type),
        DataType::Float64 => finite!(Float64Type),
        _ => {}
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, Float32Array, Int32Array};

    #[test]
    fn what_is_not_a_number_is_null() {
        let column: ArrayRef = Arc::new(Float32Array::from(vec![Some(1.0), Some(f32::NAN), None]));
        let found = without_nan(column);
        let expected = Float32Array::from(vec![Some(1.0), None, None]);
        assert_eq!(found.as_primitive::<Float32Type>(), &expected);
        let column: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        assert_eq!(without_nan(column.clone()).to_data(), column.to_data());
    }
}
