//! Where a file's bytes come from: a disk of this machine, a web server, an object store.
//!
//! A remote file is asked for as few ranges as will do: its end, which holds the footer, and for each
//! row group what the wanted columns need of it, neighbouring ranges in one request. All of them
//! must be of the version that was met first.

use super::{Error, Source};
use crate::remote::{Object, await_here, store_of};
use bytes::{Buf, Bytes};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{GetOptions, GetRange};
use parquet::errors::{ParquetError, Result as Parquet};
use parquet::file::reader::{ChunkReader, Length};
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use url::Url;

/// Bytes at the end of a remote file that come with the first request: most footers fit.
const TAIL: u64 = 256 << 10;
/// Bytes that are read in vain rather than asking once more.
const GAP: u64 = 256 << 10;
/// Requests for one row group under way at once.
const REQUESTS: usize = 8;

/// A file that can be read, wherever it is. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Handle {
    Local(Arc<File>),
    Remote(Arc<Remote>),
}

/// A file of a server.
#[derive(Debug)]
pub(crate) struct Remote {
    object: Arc<Object>,
    /// Bytes at hand, by where they begin.
    held: Vec<(u64, Bytes)>,
}

impl Handle {
    /// Opens a file and makes sure that it is the one that was resolved: by size and time of change,
    /// on a server by size.
    pub(crate) fn open(source: &Source) -> Result<Self, Error> {
        let path = &source.path;
        match path.to_str().filter(|uri| uri.contains("://")) {
            Some(uri) => Remote::open(uri, source).map(|remote| Self::Remote(Arc::new(remote))),
            None => {
                let failed = |error| refused(path, error);
                let file = File::open(path).map_err(failed)?;
                match is_resolved(source, &file.metadata().map_err(failed)?) {
                    true => Ok(Self::Local(Arc::new(file))),
                    false => Err(Error::Changed(path.clone())),
                }
            }
        }
    }

    /// Opens a file of which nothing is known, and says how large it is.
    pub(super) fn open_any(path: &Path) -> Result<(Self, u64), Error> {
        match path.to_str().filter(|uri| uri.contains("://")) {
            Some(uri) => {
                let remote = Remote::open_any(uri, path)?;
                let size = remote.object.size;
                Ok((Self::Remote(Arc::new(remote)), size))
            }
            None => {
                let failed = |error| refused(path, error);
                let file = File::open(path).map_err(failed)?;
                let size = file.metadata().map_err(failed)?.len();
                Ok((Self::Local(Arc::new(file)), size))
            }
        }
    }

    /// The same with certain ranges at hand, if it is worth while to have them beforehand.
    pub(crate) fn with(
        &self,
        path: &Path,
        ranges: impl FnOnce() -> Vec<Range<u64>>,
    ) -> Result<Self, Error> {
        match self {
            Self::Local(_) => Ok(self.clone()),
            Self::Remote(remote) => Ok(Self::Remote(Arc::new(remote.with(path, ranges())?))),
        }
    }

    /// So many bytes from a place on.
    pub(crate) fn bytes(&self, path: &Path, start: u64, length: usize) -> Result<Vec<u8>, Error> {
        match self {
            Self::Local(file) => filled(file, start, length).map_err(|error| refused(path, error)),
            Self::Remote(remote) => {
                let range = start..start + length as u64;
                let bytes = match remote.held(&range) {
                    Some(bytes) => bytes,
                    None => {
                        let object = remote.object.clone();
                        let got = await_here(async move { object.get(range).await });
                        got.map_err(|error| gone(path, error))?
                    }
                };
                Ok(bytes.into())
            }
        }
    }
}

impl Handle {
    /// Fills a buffer with the bytes of a range.
    pub(super) fn read(&self, range: Range<u64>, into: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Local(file) => {
                let length = range.end - range.start;
                into.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
                file.read_exact_at(into, range.start)
            }
            Self::Remote(remote) => {
                into.clear();
                into.extend_from_slice(&remote.get(range).map_err(io::Error::other)?);
                Ok(())
            }
        }
    }
}

fn refused(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::Vanished(path.to_owned()),
        _ => Error::Io { path: path.to_owned(), source: error },
    }
}

/// Whether the file is as the registry knew it: its row groups were chosen by what it then held.
fn is_resolved(source: &Source, now: &Metadata) -> bool {
    let mtime_ns = i128::from(now.mtime()) * 1_000_000_000 + i128::from(now.mtime_nsec());
    i128::from(now.size()) == i128::from(source.size_bytes)
        && mtime_ns == i128::from(source.mtime_ns)
}

impl Remote {
    fn open(uri: &str, source: &Source) -> Result<Self, Error> {
        let path = &source.path;
        let size = u64::try_from(source.size_bytes).unwrap_or_default();
        let tail = size.saturating_sub(TAIL)..size;
        let (met, bytes) = Self::meet(uri, path, GetRange::Bounded(tail.clone()))?;
        if met.size != size || bytes.len() as u64 != tail.end - tail.start {
            return Err(Error::Changed(path.clone()));
        }
        Ok(Self { object: Arc::new(met), held: vec![(tail.start, bytes)] })
    }

    /// The version that is there now.
    fn open_any(uri: &str, path: &Path) -> Result<Self, Error> {
        let (met, bytes) = Self::meet(uri, path, GetRange::Suffix(TAIL))?;
        let start = met.size.saturating_sub(bytes.len() as u64);
        Ok(Self { object: Arc::new(met), held: vec![(start, bytes)] })
    }

    fn meet(uri: &str, path: &Path, range: GetRange) -> Result<(Object, Bytes), Error> {
        let wrong = |error: &dyn std::fmt::Display| Error::Io {
            path: path.to_owned(),
            source: io::Error::other(error.to_string()),
        };
        let url = Url::parse(uri).map_err(|e| wrong(&e))?;
        let (store, key) = store_of(&url).map_err(|e| wrong(&e))?;
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        let (asked, of) = (store.clone(), key.clone());
        let met = await_here(async move {
            let found = asked.get_opts(&of, options).await?;
            Ok((found.meta.clone(), found.bytes().await?))
        });
        let (meta, bytes) = met.map_err(|e| gone(path, e))?;
        Ok((Object { store, key, size: meta.size, e_tag: meta.e_tag }, bytes))
    }

    fn with(&self, path: &Path, ranges: Vec<Range<u64>>) -> Result<Self, Error> {
        let wanted: Vec<Range<u64>> =
            joined(ranges).into_iter().filter(|range| self.held(range).is_none()).collect();
        let object = self.object.clone();
        let fetched = await_here(async move {
            let fetch = |range: Range<u64>| {
                let object = object.clone();
                async move { Ok((range.start, object.get(range).await?)) }
            };
            stream::iter(wanted).map(fetch).buffered(REQUESTS).try_collect::<Vec<_>>().await
        });
        let held = fetched.map_err(|error| gone(path, error))?;
        Ok(Self { object: self.object.clone(), held })
    }

    /// Bytes, if they are at hand.
    fn held(&self, range: &Range<u64>) -> Option<Bytes> {
        self.held.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(range.start.checked_sub(*start)?).ok()?;
            let to = from.checked_add(usize::try_from(range.end - range.start).ok()?)?;
            (to <= bytes.len()).then(|| bytes.slice(from..to))
        })
    }

    fn get(&self, range: Range<u64>) -> Parquet<Bytes> {
        if let Some(bytes) = self.held(&range) {
            return Ok(bytes);
        }
        let object = self.object.clone();
        await_here(async move { object.get(range).await })
            .map_err(|error| ParquetError::External(Box::new(error)))
    }
}

fn gone(path: &Path, error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::Vanished(path.to_owned()),
        object_store::Error::Precondition { .. } => Error::Changed(path.to_owned()),
        error => Error::Io { path: path.to_owned(), source: io::Error::other(error) },
    }
}

/// Ranges in order, neighbours in one.
fn joined(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| range.start < range.end);
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end + GAP => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

impl Length for Handle {
    fn len(&self) -> u64 {
        match self {
            Self::Local(file) => file.metadata().map_or(0, |about| about.len()),
            Self::Remote(remote) => remote.object.size,
        }
    }
}

impl ChunkReader for Handle {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Parquet<Self::T> {
        Ok(match self {
            Self::Local(file) => Box::new(BufReader::new(At { file: file.clone(), at: start })),
            Self::Remote(remote) => {
                let at_hand = remote.held.iter().find_map(|(first, bytes)| {
                    let from = usize::try_from(start.checked_sub(*first)?).ok()?;
                    (from < bytes.len()).then(|| bytes.slice(from..))
                });
                let end = remote.object.size.min(start + TAIL);
                Box::new(at_hand.map_or_else(|| remote.get(start..end), Ok)?.reader())
            }
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Parquet<Bytes> {
        match self {
            Self::Local(file) => Ok(filled(file, start, length)?.into()),
            Self::Remote(remote) => remote.get(start..start + length as u64),
        }
    }
}

/// So many bytes from a place on, in room that is not filled with zeros first.
fn filled(file: &File, start: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let at = start + bytes.len() as u64;
        match pread(file, spare_capacity(&mut bytes), at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// A place in a file that several read.
struct At {
    file: Arc<File>,
    at: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_asked_for_together() {
        let far = 10 * GAP;
        let ranges = vec![far..far + 5, 100..200, 10..50, 3..3, 180..190];
        assert_eq!(joined(ranges), [10..200, far..far + 5]);
        assert_eq!(joined(vec![]), []);
    }
}
