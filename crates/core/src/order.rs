//! The order of a tile's rows as one hash: files of one tile with equal hashes zip row by row.

use crate::footer::{Footer, Tail};
use crate::read::keys;
use crate::tile::Tile;
use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;

/// Bytes that are hashed together: many blocks of BLAKE3 side by side, where a few would be hashed one
/// after the other.
const BLOCK_BYTES: usize = 64 * 1024;

/// Hash of a tile's row order: of its key and its TARGETIDs, in order.
#[derive(Debug, Clone)]
pub struct Order {
    hasher: blake3::Hasher,
    /// What is not hashed yet.
    bytes: Vec<u8>,
}

impl Order {
    /// Of a tile without rows, so far.
    #[must_use]
    pub fn of(tile: &Tile) -> Self {
        Self { hasher: blake3::Hasher::new(), bytes: tile.to_string().into_bytes() }
    }

    /// The next rows.
    pub fn add(&mut self, target_ids: &[i64]) {
        self.add_bytes(target_ids, |id| id.to_le_bytes());
    }

    fn add_bytes<T: Copy>(&mut self, words: &[T], bytes: impl Fn(T) -> [u8; 8]) {
        for words in words.chunks(BLOCK_BYTES / 8) {
            self.bytes.reserve(8 * words.len());
            words.iter().for_each(|word| self.bytes.extend_from_slice(&bytes(*word)));
            if self.bytes.len() >= BLOCK_BYTES {
                self.hasher.update(&self.bytes);
                self.bytes.clear();
            }
        }
    }

    /// The hash (hex).
    #[must_use]
    pub fn hash(&self) -> String {
        self.hasher.clone().update(&self.bytes).finalize().to_hex().to_string()
    }
}

/// Hash (hex) of a tile's row order.
#[must_use]
pub fn hash_of(tile: &Tile, target_ids: &[i64]) -> String {
    let mut order = Order::of(tile);
    order.add(target_ids);
    order.hash()
}

/// Whether a column of that name holds the TARGETIDs.
#[must_use]
pub fn is_key(name: &str) -> bool {
    ["target_id", "targetid"].iter().any(|key| name.eq_ignore_ascii_case(key))
}

/// The same of the rows of a file of which the footer is known. None where it does not tell where they
/// are, or where they are written in a way that only the parquet crate knows: see [`of_file`]. What `tail`
/// holds of the file is not read again.
#[must_use]
pub fn of_footer(file: &File, tail: &Tail, footer: &Footer, tile: &Tile) -> Option<String> {
    let rows = match footer.groups.as_slice() {
        [] => std::slice::from_ref(&footer.bounds),
        groups => groups,
    };
    let agrees =
        rows.iter().map(|group| group.num_rows).eq(footer.keys.iter().map(|key| key.values as i64));
    let mut order = agrees.then(|| Order::of(tile))?;
    for chunk in &footer.keys {
        keys::each(file, tail, chunk, &mut |words| order.add_bytes(words, u64::to_le_bytes))?;
    }
    Some(order.hash())
}

/// The same of the rows of any file, by its column `target_id` or TARGETID. None where it has no such
/// column of integers, or one that cannot be read.
pub fn of_file(file: &File, tile: &Tile) -> Option<String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.try_clone().ok()?).ok()?;
    let column = builder.schema().fields().iter().position(|field| is_key(field.name()))?;
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
    use crate::footer::Schemas;
    use crate::tile::{Name, Pixel};
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, Encoding, ZstdLevel};
    use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
    use std::os::unix::fs::FileExt;
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
    #[test]
    fn blocks_change_nothing() {
        for rows in [0, 1, 8_185, 8_186, 8_192, 20_000] {
            let ids: Vec<i64> = (0..rows).map(|id| id * 7919).collect();
            let mut bytes = tile(3).to_string().into_bytes();
            ids.iter().for_each(|id| bytes.extend(id.to_le_bytes()));
            let expected = blake3::hash(&bytes).to_hex().to_string();
            assert_eq!(hash_of(&tile(3), &ids), expected, "{rows}");
            let mut order = Order::of(&tile(3));
            ids.chunks(999).for_each(|ids| order.add(ids));
            assert_eq!((order.hash(), order.hash()), (expected.clone(), expected), "{rows}");
        }
    }

    fn footer_of(tail: &mut Tail, file: &File) -> Footer {
        let bytes = file.metadata().expect("a length").len();
        tail.footer(file, bytes, &Schemas::default()).expect("a footer")
    }

    /// By the footer: from the memory that it was read into, and from the file, which is the same.
    fn quick(file: &File) -> Option<String> {
        let mut tail = Tail::default();
        let footer = footer_of(&mut tail, file);
        assert!(footer.keys.iter().all(|key| tail.part(&key.bytes).is_some()));
        let hash = of_footer(file, &tail, &footer, &tile(5));
        assert_eq!(hash, of_footer(file, &Tail::default(), &footer, &tile(5)));
        hash
    }

    fn written(
        ids: &[Option<i64>],
        nullable: bool,
        change: impl Fn(WriterPropertiesBuilder) -> WriterPropertiesBuilder,
    ) -> File {
        let column: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
        let other: ArrayRef = Arc::new(Int64Array::from(vec![7; ids.len()]));
        let columns = [("other", other, false), ("TARGETID", column, nullable)];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
        let file = tempfile::tempfile().expect("a file");
        let clone = file.try_clone().expect("the file");
        let properties = change(WriterProperties::builder().set_max_row_group_row_count(Some(700)));
        let properties = properties.set_data_page_row_count_limit(100).set_write_batch_size(50);
        let mut writer = ArrowWriter::try_new(clone, batch.schema(), Some(properties.build()))
            .expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("closed");
        file
    }

    #[test]
    fn what_the_footer_locates_is_what_the_parquet_crate_reads() {
        let zstd = Compression::ZSTD(ZstdLevel::default());
        let codecs = [Compression::UNCOMPRESSED, Compression::SNAPPY, zstd];
        let many: Vec<_> = (0..2000).map(|row| Some(row * 7_919 % 1_009 - 400)).collect();
        for (codec, ids) in codecs.iter().flat_map(|c| [(c, &many[..]), (c, &many[..1])]) {
            for (nullable, dictionary, version) in [
                (false, false, WriterVersion::PARQUET_1_0),
                (true, true, WriterVersion::PARQUET_1_0),
                (false, true, WriterVersion::PARQUET_2_0),
                (true, true, WriterVersion::PARQUET_2_0),
            ] {
                let file = written(ids, nullable, |properties| {
                    let properties = properties.set_compression(*codec).set_writer_version(version);
                    properties.set_dictionary_enabled(dictionary)
                });
                let quick = quick(&file).expect("a hash");
                assert_eq!(Some(&quick), of_file(&file, &tile(5)).as_ref());
                let all: Vec<i64> = ids.iter().flatten().copied().collect();
                assert_eq!(quick, hash_of(&tile(5), &all));
            }
        }
    }

    #[test]
    fn what_it_cannot_read_it_leaves() {
        let mut ids: Vec<_> = (0..1000).map(Some).collect();
        let delta = |properties: WriterPropertiesBuilder| {
            properties.set_dictionary_enabled(false).set_encoding(Encoding::DELTA_BINARY_PACKED)
        };
        let file = written(&ids, false, delta);
        assert_eq!(quick(&file), None);
        assert!(of_file(&file, &tile(5)).is_some());
        ids[993] = None;
        for dictionary in [false, true] {
            let file = written(&ids, true, |p| p.set_dictionary_enabled(dictionary));
            assert_eq!(quick(&file), None);
        }
    }

    #[test]
    fn damage_does_not_end_the_program() {
        let ids: Vec<_> = (0..300).map(|row| Some(row % 50)).collect();
        let file = written(&ids, true, |p| p.set_compression(Compression::SNAPPY));
        let footer = footer_of(&mut Tail::default(), &file);
        let [chunk] = &footer.keys[..] else { panic!("one row group") };
        let mut byte = [0];
        for at in chunk.bytes.clone() {
            file.read_exact_at(&mut byte, at).expect("read");
            for flip in [0x01, 0x80, 0xff] {
                file.write_all_at(&[byte[0] ^ flip], at).expect("written");
                let _ = of_footer(&file, &Tail::default(), &footer, &tile(5));
            }
            file.write_all_at(&byte, at).expect("written");
        }
        assert_eq!(of_footer(&file, &Tail::default(), &footer, &tile(5)), of_file(&file, &tile(5)));
        file.set_len(chunk.bytes.end - 1).expect("cut");
        assert_eq!(of_footer(&file, &Tail::default(), &footer, &tile(5)), None);
    }
}
