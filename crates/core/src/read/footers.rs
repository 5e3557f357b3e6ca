//! Decoded footers of files that were read lately, so that the next portion of a file decodes none.

use super::{Error, Source};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use std::collections::HashMap;
use std::mem;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Bytes of one generation; there are two.
const BYTES: usize = 64 << 20;

/// A version of a file: path, size, time of change.
type Version = (PathBuf, i64, i64);

#[derive(Default)]
struct Known {
    bytes: usize,
    young: HashMap<Version, ArrowReaderMetadata>,
    old: HashMap<Version, ArrowReaderMetadata>,
}

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

/// The footer of a file that is still the one that was resolved.
pub(super) fn of(
    source: &Source,
    decode: impl FnOnce() -> Result<ArrowReaderMetadata, Error>,
) -> Result<ArrowReaderMetadata, Error> {
    let version = (source.path.clone(), source.size_bytes, source.mtime_ns);
    if let Some(found) = with(|known| known.find(&version)) {
        return Ok(found);
    }
    let footer = decode()?;
    with(|known| known.learn(version, footer.clone()));
    Ok(footer)
}

fn with<T>(use_it: impl FnOnce(&mut Known) -> T) -> T {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    use_it(known.get_or_insert_default())
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
