//! Decoded footers: of the columns that are wanted, and kept for the next portion of the file.

use super::handle::Handle;
use super::{Error, Source};
use crate::footer::trim::{Trimmed, Wanted};
use crate::guard::guard;
use crate::process::Own;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
    ParquetStatisticsPolicy, RowGroupMetaData,
};
use parquet::file::reader::ChunkReader;
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of one generation of footers; there are two.
const BYTES: usize = 64 << 20;
/// Bytes at the end of a file that are read at first: most footers fit.
const TAIL: u64 = 64 << 10;
/// Length of a footer, and the magic.
const TRAILER: u64 = 8;

/// The columns that are wanted of files.
pub(crate) struct Columns {
    wanted: Wanted,
    key: u64,
}

impl Columns {
    /// By their names, folded.
    pub(super) fn new(names: BTreeSet<String>) -> Self {
        let mut hasher = DefaultHasher::new();
        names.hash(&mut hasher);
        let is_wanted = move |name: &str| names.contains(&crate::predicate::column::fold(name));
        Self { wanted: Wanted::new(is_wanted), key: hasher.finish() }
    }
}

/// A version of a file (path, size, time of change), and the columns that are known of it.
type Version = (PathBuf, i64, i64, Option<u64>);

#[derive(Default)]
struct Known {
    bytes: usize,
    young: HashMap<Version, ArrowReaderMetadata>,
    old: HashMap<Version, ArrowReaderMetadata>,
}

static KNOWN: Own<Mutex<Known>> = Own::new();

/// The footer of an open file that is the one that was resolved; with all columns, or those that are
/// wanted.
pub(super) fn of(
    source: &Source,
    handle: &Handle,
    columns: Option<&Columns>,
) -> Result<ArrowReaderMetadata, Error> {
    let path = source.path.clone();
    let version = (path, source.size_bytes, source.mtime_ns, columns.map(|columns| columns.key));
    if let Some(found) = with(|known| known.find(&version)) {
        return Ok(found);
    }
    let few = || columns.and_then(|columns| guard(|| few(handle, source, columns)).ok()?);
    let footer = match few() {
        Some(footer) => footer,
        // what is wrong with a footer, the decoder of whole ones says
        None => guard(|| whole(handle))
            .map_err(|panicked| super::file::gave_up(&source.path, &panicked))?
            .map_err(|error| super::file::damaged(&source.path)(error))?,
    };
    with(|known| known.learn(version, footer.clone()));
    Ok(footer)
}

/// The footer with the wanted columns alone; `None` where that cannot be had.
fn few(handle: &Handle, source: &Source, columns: &Columns) -> Option<ArrowReaderMetadata> {
    let size = u64::try_from(source.size_bytes).ok()?;
    let read = |length: u64| handle.get_bytes(size - length, usize::try_from(length).ok()?).ok();
    let mut tail = read(TAIL.min(size))?;
    let (rest, magic) = tail.split_last_chunk::<4>()?;
    let (_, length) = rest.split_last_chunk::<4>()?;
    let length = u64::from(u32::from_le_bytes(*length));
    if magic != b"PAR1" || length + TRAILER > size {
        return None;
    }
    if length + TRAILER > tail.len() as u64 {
        tail = read(length + TRAILER)?;
    }
    let end = tail.len() - TRAILER as usize;
    let start = end.checked_sub(usize::try_from(length).ok()?)?;
    let Trimmed { bytes, schema } = columns.wanted.trim(&tail[start..end]).ok()?;
    let skip = ParquetStatisticsPolicy::SkipAll;
    let options = ParquetMetaDataOptions::new().with_column_stats_policy(skip.clone());
    let options = options.with_size_stats_policy(skip.clone()).with_encoding_stats_policy(skip);
    let metadata =
        ParquetMetaDataReader::decode_metadata_with_options(&bytes, Some(&options)).ok()?;
    let mut metadata = with_dictionaries(metadata).ok()?;
    if schema.fields().iter().any(|field| field.data_type().is_nested()) {
        let mut reader = ParquetMetaDataReader::new_with_metadata(metadata)
            .with_column_index_policy(PageIndexPolicy::Skip)
            .with_offset_index_policy(PageIndexPolicy::Optional);
        reader.read_page_indexes(handle).ok()?;
        metadata = reader.finish().ok()?;
    }
    let options = ArrowReaderOptions::new().with_schema(schema);
    ArrowReaderMetadata::try_new(Arc::new(metadata), options).ok()
}

/// The whole footer. Statistics, which others got wrong, are not needed, and an Arrow schema that is not
/// the file's is done without.
pub(crate) fn whole(file: &impl ChunkReader) -> Result<ArrowReaderMetadata, ParquetError> {
    let options = ArrowReaderOptions::new()
        .with_offset_index_policy(PageIndexPolicy::Optional)
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let plain = || options.clone().with_skip_arrow_metadata(true);
    let (found, options) = match ArrowReaderMetadata::load(file, options.clone()) {
        Ok(found) => (found, options),
        Err(error) => (ArrowReaderMetadata::load(file, plain()).map_err(|_| error)?, plain()),
    };
    if !has_null(found.metadata()) {
        return Ok(found);
    }
    let metadata = with_dictionaries(found.metadata().as_ref().clone())?;
    ArrowReaderMetadata::try_new(Arc::new(metadata), options)
}

fn has_null(metadata: &ParquetMetaData) -> bool {
    let has_null = |group: &RowGroupMetaData| {
        group.columns().iter().any(|chunk| chunk.dictionary_page_offset() == Some(0))
    };
    metadata.row_groups().iter().any(has_null)
}

/// A dictionary at 0, where the magic is, is none: some writers say so, and the decoder believes it.
fn with_dictionaries(metadata: ParquetMetaData) -> Result<ParquetMetaData, ParquetError> {
    if !has_null(&metadata) {
        return Ok(metadata);
    }
    let mut builder = metadata.into_builder();
    for group in builder.take_row_groups() {
        let mut group = group.into_builder();
        for chunk in group.take_columns() {
            let offset = chunk.dictionary_page_offset().filter(|offset| *offset != 0);
            let chunk = chunk.into_builder().set_dictionary_page_offset(offset).build()?;
            group = group.add_column_metadata(chunk);
        }
        builder = builder.add_row_group(group.build()?);
    }
    Ok(builder.build())
}

fn with<T>(use_it: impl FnOnce(&mut Known) -> T) -> T {
    use_it(&mut KNOWN.get().lock().unwrap_or_else(PoisonError::into_inner))
}

impl Known {
    fn find(&mut self, version: &Version) -> Option<ArrowReaderMetadata> {
        if let Some(found) = self.young.get(version) {
            return Some(found.clone());
        }
        let found = self.old.remove(version)?;
        self.learn(version.clone(), found.clone());
        Some(found)
    }

    fn learn(&mut self, version: Version, footer: ArrowReaderMetadata) {
        if self.bytes >= BYTES {
            self.old = mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += footer.metadata().memory_size();
        self.young.insert(version, footer);
    }
}
