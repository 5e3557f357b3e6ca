//! What was computed of a sample, as a stage: a row finds its object's values, others get NULL.

use super::Sample;
use crate::stage::{About, FromProduct};
use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use serde_json::Value;
use std::collections::HashMap;

/// Values of objects, looked up by TARGETID in the tile that the object was taken from.
pub struct Given {
    about: About,
    configuration: Value,
    /// By TARGETID; with the tile's number and the row of the columns.
    objects: Vec<(i64, u32, u32)>,
    tiles: HashMap<String, u32>,
    columns: Vec<ArrayRef>,
}

/// What a row says of itself.
pub(crate) const READS: [&str; 5] = ["target_id", "release", "survey", "program", "healpix"];

impl Given {
    /// Of samples that share no object, each with the columns that `about` lists: a value an object,
    /// in the sample's order. `configuration` is whatever else shaped them.
    ///
    /// # Errors
    /// Where columns do not fit together.
    pub fn new(
        about: About,
        configuration: Value,
        parts: &[(&Sample, Vec<ArrayRef>)],
    ) -> Result<Self, ArrowError> {
        let mut tiles = HashMap::new();
        let mut objects = Vec::new();
        for (sample, _) in parts {
            let mut numbers = Vec::new();
            for tile in &sample.tiles {
                let next = tiles.len() as u32;
                numbers.push(*tiles.entry(tile.to_string()).or_insert(next));
            }
            let first = objects.len() as u32;
            let of = sample.target_id.iter().zip(&sample.tile).zip(first..);
            objects.extend(
                of.filter_map(|((id, tile), row)| Some((*id, *numbers.get(*tile as usize)?, row))),
            );
        }
        let mut columns = Vec::new();
        for (place, field) in about.columns.iter().enumerate() {
            let pieces: Vec<&dyn arrow::array::Array> =
                parts.iter().filter_map(|(_, made)| made.get(place).map(AsRef::as_ref)).collect();
            columns.push(match pieces.is_empty() {
                true => arrow::array::new_empty_array(field.data_type()),
                false => concat(&pieces)?,
            });
        }
        objects.sort_unstable();
        Ok(Self { about, configuration, objects, tiles, columns })
    }

    /// The row of the columns that an object of a tile has.
    fn find(&self, target_id: i64, tile: u32) -> Option<u32> {
        let place = self.objects.partition_point(|(id, of, _)| (*id, *of) < (target_id, tile));
        let (id, of, row) = *self.objects.get(place)?;
        ((id, of) == (target_id, tile)).then_some(row)
    }
}

impl FromProduct for Given {
    fn about(&self) -> About {
        self.about.clone()
    }

    fn configuration(&self) -> Option<String> {
        Some(self.configuration.to_string())
    }

    fn batch(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
        let column = |name: &str, kind: &DataType| {
            let column = rows.column_by_name(name);
            let missing = || ArrowError::SchemaError(format!("no column {name}"));
            cast(column.ok_or_else(missing)?, kind)
        };
        let ids = column("target_id", &DataType::Int64)?;
        let ids = ids.as_primitive::<Int64Type>();
        let text = &DataType::Utf8;
        let keys = [
            column("release", text)?,
            column("survey", text)?,
            column("program", text)?,
            column("healpix", text)?,
        ];
        // a file is of one tile
        let key = |row| keys.each_ref().map(|key| key.as_string::<i32>().value(row)).join("-");
        let tile = (rows.num_rows() > 0).then(|| self.tiles.get(&key(0)).copied()).flatten();
        let found: UInt32Array = ids.values().iter().map(|id| self.find(*id, tile?)).collect();
        self.columns.iter().map(|column| take(column, &found, None)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{Source, column};
    use arrow::array::{Array, Float64Array, Int32Array, Int64Array, StringArray};
    use arrow::datatypes::Float64Type;
    use bifrost_core::tile::Tile;
    use std::sync::Arc;

    fn rows(ids: &[i64], program: &str) -> RecordBatch {
        let text = |value: &str| Arc::new(StringArray::from(vec![value; ids.len()])) as ArrayRef;
        let columns = [
            ("target_id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef),
            ("release", text("iron")),
            ("survey", text("main")),
            ("program", text(program)),
            ("healpix", Arc::new(Int32Array::from(vec![7; ids.len()]))),
        ];
        RecordBatch::try_from_iter(columns).expect("a batch")
    }

    #[test]
    fn a_row_finds_its_object_in_the_tile_that_it_was_taken_from() {
        let tile = |name: &str| name.parse::<Tile>().expect("a tile");
        let sample = |target_id: Vec<i64>, name: &str| Sample {
            tile: vec![0; target_id.len()],
            tiles: vec![tile(name)],
            target_id,
            ..Sample::default()
        };
        let dark = sample(vec![3, 9], "iron-main-dark-7");
        let bright = sample(vec![4], "iron-main-bright-7");
        let float = |values: Vec<f64>| vec![Arc::new(Float64Array::from(values)) as ArrayRef];
        let about = About {
            name: "trial",
            version: 1,
            from: Source::Product("spectra", &READS),
            product: "trial",
            columns: vec![column("value", DataType::Float64, "", "", "")],
        };
        let parts = [(&dark, float(vec![0.3, 0.9])), (&bright, float(vec![0.4]))];
        let given = Given::new(about, Value::Null, &parts).expect("columns that fit");
        let values = |batch: &RecordBatch| -> Vec<Option<f64>> {
            let made = given.batch(batch).expect("a column");
            assert_eq!(made[0].len(), batch.num_rows());
            made[0].as_primitive::<Float64Type>().iter().collect()
        };
        assert_eq!(values(&rows(&[9, 4, 3], "dark")), [Some(0.9), None, Some(0.3)]);
        assert_eq!(values(&rows(&[9, 4, 3], "bright")), [None, Some(0.4), None]);
        assert_eq!(values(&rows(&[9], "other")), [None]);
        assert!(values(&rows(&[], "dark")).is_empty());
    }
}
