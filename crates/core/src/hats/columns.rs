//! The columns of a catalog: those of all of its files together, kept in `_common_metadata`, which is
//! a Parquet file without rows.

use crate::guard::guard;
use crate::votable;
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Columns that a catalog of positions must have.
const NEEDED: [&str; 3] = ["_healpix_29", "ra", "dec"];
/// What LSDB reads of a wide product where nobody says which columns.
const DEFAULTS: [&str; 18] = [
    "target_id",
    "ra",
    "dec",
    "release",
    "survey",
    "program",
    "healpix",
    "has_position",
    "z",
    "zerr",
    "zwarn",
    "deltachi2",
    "spectype",
    "subtype",
    "objtype",
    "coadd_fiberstatus",
    "desi_target",
    "tsnr2_lrg",
];
/// A product with no more scalars than this is narrow: all of them are read.
const NARROW: usize = 40;

/// The columns that a Parquet file has.
pub(super) fn of_file(path: &Path) -> io::Result<Schema> {
    let file = File::open(path)?;
    let read = || ArrowReaderMetadata::load(&file, Default::default());
    match guard(read) {
        Ok(Ok(metadata)) => {
            Ok(metadata.schema().as_ref().clone().with_metadata(Default::default()))
        }
        Ok(Err(e)) => Err(io::Error::other(e)),
        Err(panicked) => Err(io::Error::other(panicked.fault())),
    }
}

/// Columns of both: those of the newer in their order, then what only the older has.
pub(super) fn merged(older: &Schema, newer: &Schema) -> Schema {
    let is_in = |schema: &Schema, field: &Field| schema.field_with_name(field.name()).is_ok();
    let may_lack = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
    let newer_fields = newer.fields().iter().map(|field| match is_in(older, field) {
        true => field.as_ref().clone(),
        false => may_lack(field),
    });
    let rest = older.fields().iter().filter(|field| !is_in(newer, field)).map(may_lack);
    Schema::new(newer_fields.chain(rest).collect::<Vec<_>>())
}

/// Whether it has what makes a catalog of positions.
pub(super) fn has_positions(schema: &Schema) -> bool {
    NEEDED.iter().all(|name| schema.field_with_name(name).is_ok())
}

/// The columns to be read where nobody says which: never arrays.
pub(super) fn defaults(schema: &Schema) -> Vec<&str> {
    let scalars = schema.fields().iter().filter(|field| !field.data_type().is_nested());
    let mut names: Vec<&str> = scalars.map(|field| field.name().as_str()).collect();
    if names.len() > NARROW {
        names.retain(|name| DEFAULTS.contains(name));
    }
    names
}

/// `_common_metadata`.
pub(super) fn common_metadata(product: &str, schema: &Schema) -> Result<Vec<u8>, ParquetError> {
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::new(schema.clone()), None)?;
    for (key, value) in votable::key_values(product, schema) {
        writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
    writer.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::DataType;

    fn schema(names: &[&str]) -> Schema {
        let field = |name: &&str| Field::new(*name, DataType::Float64, false);
        Schema::new(names.iter().map(field).collect::<Vec<_>>())
    }

    #[test]
    fn columns_of_old_and_new_files_come_together() {
        let both = merged(&schema(&["a", "b"]), &schema(&["b", "c"]));
        let found: Vec<_> =
            both.fields().iter().map(|f| (f.name().as_str(), f.is_nullable())).collect();
        assert_eq!(found, [("b", false), ("c", true), ("a", true)]);
    }

    #[test]
    fn the_columns_of_a_file_without_rows_are_those_it_was_given() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("_common_metadata");
        let given = schema(&["_healpix_29", "ra", "dec", "x"]);
        std::fs::write(&path, common_metadata("p", &given).expect("made")).expect("written");
        assert_eq!(of_file(&path).expect("read"), given);
        assert!(has_positions(&given) && !has_positions(&schema(&["ra", "dec"])));
        assert_eq!(defaults(&given), ["_healpix_29", "ra", "dec", "x"]);
        let many: Vec<String> = (0..50).map(|i| format!("c{i}")).collect();
        let wide: Vec<&str> = many.iter().map(String::as_str).chain(["z", "ra"]).collect();
        assert_eq!(defaults(&schema(&wide)), ["z", "ra"]);
    }
}
