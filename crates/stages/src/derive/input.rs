//! The file that a stage reads: what it is by its footer, and its rows, batch by batch.

use super::Fault;
use bifrost_core::metadata::{self, Content, MadeBy, Parent};
use bifrost_core::order;
use bifrost_core::tile::{Name, Tile};
use bifrost_core::withdraw::Version;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::SortingColumn;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

/// About how large a batch of rows may become, decoded.
pub(super) const BATCH_BYTES: u64 = 16 << 20;
/// Rows of a batch, at most.
const BATCH_ROWS: u64 = 8192;

/// A published file whose footer was read.
pub(crate) struct Opened {
    file: File,
    metadata: ArrowReaderMetadata,
    about: HashMap<String, String>,
}

impl Opened {
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Fault::Gone,
            _ => Fault::reading(error),
        })?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
        let metadata = metadata.map_err(Fault::reading)?;
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let about = pairs.into_iter().flatten();
        let about = about.filter_map(|kv| Some((kv.key.clone(), kv.value.clone()?))).collect();
        Ok(Self { file, metadata, about })
    }

    /// What a key of the footer says, in JSON.
    fn says<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_str(self.about.get(key)?).ok()
    }

    /// The stage that made it.
    pub(crate) fn made_by(&self) -> Option<MadeBy> {
        self.says(metadata::STAGE)
    }

    /// What shaped it beside its input.
    pub(crate) fn configuration(&self) -> Option<&str> {
        self.about.get(metadata::CONFIGURATION).map(String::as_str)
    }

    /// What it was made of.
    pub(crate) fn parents(&self) -> Vec<Parent> {
        self.says(metadata::PARENTS).unwrap_or_default()
    }

    /// Hash of its row order.
    pub(crate) fn order(&self) -> Option<&str> {
        self.about.get(metadata::ORDER).map(String::as_str)
    }
}

/// The file that a tile is made of.
pub(crate) struct Input {
    opened: Opened,
    /// What the file that is made of it will say of it.
    pub(crate) parent: Parent,
    /// Whether it states its checksum; else it is known by size and time.
    pub(crate) states_content: bool,
    pub(crate) version: Version,
}

impl Input {
    pub(crate) fn open(product: &Name, tile: &Tile, path: &Path) -> Result<Self, Fault> {
        let opened = Opened::open(path)?;
        if let Some(other) = opened.says::<Tile>(metadata::TILE).filter(|other| other != tile) {
            return Err(Fault::Mismatch(format!("its input says that it is tile {other}")));
        }
        let version = Version::from(&opened.file.metadata().map_err(Fault::reading)?);
        let stated = opened.about.get(metadata::CONTENT);
        let stated = stated.filter(|content| content.parse::<Content>().is_ok());
        let content = match stated {
            Some(content) => content.clone(),
            None => content_of(&opened.file, u64::MAX).map_err(Fault::reading)?.to_string(),
        };
        let order = match opened.order() {
            Some(order) => order.to_owned(),
            None => order::of_file(&opened.file, tile).ok_or_else(|| {
                Fault::reading("it has no column target_id of integers without NULL")
            })?,
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let parent = Parent {
            product: product.clone(),
            name: name.unwrap_or_default(),
            size_bytes: version.size_bytes,
            mtime_ns: version.mtime_ns,
            content,
            order,
        };
        let states_content = stated.is_some();
        Ok(Self { opened, parent, states_content, version })
    }

    /// Whether its content is what its checksum states. A damaged page may well be decoded.
    pub(crate) fn verify(&self) -> Result<(), Fault> {
        let Ok(stated) = self.parent.content.parse::<Content>() else {
            return Err(Fault::Checksum);
        };
        let found = content_of(&self.opened.file, stated.length).map_err(Fault::reading)?;
        if found == stated { Ok(()) } else { Err(Fault::Checksum) }
    }

    /// Rows that do not lie where their TARGETIDs say, where it states how many they are.
    pub(crate) fn off_brick(&self) -> Option<&str> {
        self.opened.about.get(metadata::OFF_BRICK).map(String::as_str)
    }

    pub(crate) fn num_rows(&self) -> i64 {
        self.opened.metadata.metadata().file_metadata().num_rows()
    }

    /// What its rows are sorted by, where that is said of columns that stand in the same places in
    /// `columns`.
    pub(crate) fn sorting(&self, columns: &[String]) -> Option<Vec<SortingColumn>> {
        let group = self.opened.metadata.metadata().row_groups().first()?;
        let root = |leaf: i32| {
            let schema = group.schema_descr();
            Some(schema.get_column_root(usize::try_from(leaf).ok()?).name().to_owned())
        };
        let is_there = |column: &SortingColumn| {
            let place = usize::try_from(column.column_idx).ok();
            place.and_then(|place| columns.get(place)).cloned() == root(column.column_idx)
        };
        let sorting = group.sorting_columns()?;
        sorting.iter().all(is_there).then(|| sorting.clone())
    }

    /// Those of the columns that it has, in its order.
    pub(crate) fn has(&self, columns: &[&str]) -> Vec<String> {
        let fields = self.opened.metadata.schema().fields().iter();
        let names =
            fields.map(|field| field.name()).filter(|name| columns.contains(&name.as_str()));
        names.cloned().collect()
    }

    /// Its rows, of these columns.
    pub(crate) fn rows(&self, columns: &[&str]) -> Result<ParquetRecordBatchReader, Fault> {
        self.rows_of(columns, usize::MAX)
    }

    /// The same in batches of so many rows, at most.
    pub(super) fn rows_of(
        &self,
        columns: &[&str],
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader, Fault> {
        let fields = self.opened.metadata.schema().fields();
        let place = |name: &&str| fields.iter().position(|field| field.name() == name);
        if let Some(missing) = columns.iter().find(|name| place(name).is_none()) {
            return Err(Fault::Corrupt(format!("its input has no column {missing}")));
        }
        let parquet = self.opened.metadata.metadata();
        let schema = parquet.file_metadata().schema_descr();
        let mask = ProjectionMask::roots(schema, columns.iter().filter_map(place));
        let file = self.opened.file.try_clone().map_err(Fault::reading)?;
        let metadata = self.opened.metadata.clone();
        ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_batch_size(self.batch_rows(&mask).min(batch_rows))
            .with_projection(mask)
            .build()
            .map_err(Fault::reading)
    }

    /// Rows that fill a batch, by what the footer says of the columns: encodings make small what is
    /// large when decoded, and numbers of values tell better.
    fn batch_rows(&self, mask: &ProjectionMask) -> usize {
        let groups = self.opened.metadata.metadata().row_groups();
        let row_bytes = groups.iter().map(|group| {
            let leaves = group.columns().iter().enumerate();
            let leaves = leaves.filter(|(leaf, _)| mask.leaf_included(*leaf));
            let bytes: u64 = leaves
                .map(|(_, c)| c.uncompressed_size().max(c.num_values().saturating_mul(8)).max(0))
                .fold(0, |sum, bytes| sum.saturating_add(bytes.unsigned_abs()));
            bytes / group.num_rows().max(1).unsigned_abs()
        });
        (BATCH_BYTES / row_bytes.max().unwrap_or(0).max(1)).clamp(1, BATCH_ROWS) as usize
    }
}

/// Checksum of a file's first bytes, or of all where there are fewer.
fn content_of(file: &File, length: u64) -> io::Result<Content> {
    let mut hasher = blake3::Hasher::new();
    let mut file = file.try_clone()?;
    file.rewind()?;
    let length = io::copy(&mut file.take(length), &mut hasher)?;
    Ok(Content { blake3: *hasher.finalize().as_bytes(), length })
}
