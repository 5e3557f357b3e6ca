//! The order of a tile's rows as one hash: files of one tile with equal hashes zip row by row.

use crate::tile::Tile;
use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;

/// Hash of a tile's row order: of its key and its TARGETIDs, in order.
#[derive(Debug, Clone)]
pub struct Order(blake3::Hasher);

impl Order {
    /// Of a tile without rows, so far.
    #[must_use]
    pub fn of(tile: &Tile) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(tile.to_string().as_bytes());
        Self(hasher)
    }

    /// The next rows.
    pub fn add(&mut self, target_ids: &[i64]) {
        for id in target_ids {
            self.0.update(&id.to_le_bytes());
        }
    }

    /// The hash (hex).
    #[must_use]
    pub fn hash(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

/// Hash (hex) of a tile's row order.
#[must_use]
pub fn hash_of(tile: &Tile, target_ids: &[i64]) -> String {
    let mut order = Order::of(tile);
    order.add(target_ids);
    order.hash()
}

/// The same of the rows of a file, by its column `target_id` or TARGETID. None where it has no such
/// column of integers, or one that cannot be read.
pub fn of_file(file: &File, tile: &Tile) -> Option<String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.try_clone().ok()?).ok()?;
    let named = |name: &str| ["target_id", "targetid"].iter().any(|n| name.eq_ignore_ascii_case(n));
    let column = builder.schema().fields().iter().position(|field| named(field.name()))?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), [column]);
    let mut order = Order::of(tile);
    for batch in builder.with_projection(mask).with_batch_size(1 << 16).build().ok()? {
        let batch = batch.ok()?;
        let ids = batch.column(0).as_primitive_opt::<Int64Type>()?;
        if ids.null_count() > 0 {
            return None;
        }
        order.add(ids.values());
    }
    Some(order.hash())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::{Name, Pixel};
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use parquet::arrow::ArrowWriter;
    use std::sync::Arc;

    fn tile(pixel: i64) -> Tile {
        let name = |n| Name::new(n).expect("a name");
        let pixel = Pixel::new(pixel).expect("a pixel");
        Tile { release: name("iron"), survey: name("main"), program: name("dark"), pixel }
    }

    fn file(name: &str, ids: Vec<Option<i64>>) -> File {
        let ids: ArrayRef = Arc::new(Int64Array::from(ids));
        let batch = RecordBatch::try_from_iter_with_nullable([(name, ids, true)]).expect("a batch");
        let file = tempfile::tempfile().expect("a file");
        let clone = file.try_clone().expect("the file");
        let mut writer = ArrowWriter::try_new(clone, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("closed");
        file
    }

    #[test]
    fn order_and_tile_count_and_nothing_else() {
        let hash = hash_of(&tile(1), &[3, 1, 2]);
        assert_ne!(hash, hash_of(&tile(1), &[1, 2, 3]));
        assert_ne!(hash, hash_of(&tile(2), &[3, 1, 2]));
        let ids = || vec![Some(3), Some(1), Some(2)];
        for name in ["target_id", "TARGETID"] {
            assert_eq!(of_file(&file(name, ids()), &tile(1)).as_ref(), Some(&hash));
        }
        assert_eq!(of_file(&file("id", ids()), &tile(1)), None);
        assert_eq!(of_file(&file("target_id", vec![Some(1), None]), &tile(1)), None);
    }
}
