//! One row's spectrum from a spectra store: its chunks are read where the index says, and decoded here.

use super::Pixels;
use crate::process::Own;
use crate::read::{self, Handle};
use crate::store::{self, ARRAYS, Group, Index};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Chunks of a row that lie no farther apart are read at once, with what is between them.
const GAP_BYTES: u64 = 16 << 10;
/// Wavelengths that are kept once for all files.
const GRIDS: usize = 16;

/// An open store, and its index.
#[derive(Debug)]
pub(crate) struct Store {
    file: Handle,
    path: PathBuf,
    index: Index,
    /// Of each group, once they were asked for.
    wavelengths: Vec<OnceLock<Arc<[f64]>>>,
}

impl Store {
    pub(crate) fn open(file: Handle, size_bytes: u64, path: &Path) -> Result<Self, store::Error> {
        let read = |start, length| read(&file, path, start, length);
        let (index, _) = Index::read_with(size_bytes, read)?;
        let wavelengths = index.groups.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { file, path: path.to_owned(), index, wavelengths })
    }

    /// The spectrum in a row of a group; none where the store holds another object there than the one
    /// that is meant.
    pub(crate) fn pixels(
        &self,
        path: &str,
        row: u64,
        target_id: Option<i64>,
    ) -> Result<Option<Pixels>, store::Error> {
        let groups = self.index.groups.iter().zip(&self.wavelengths);
        let found = groups.into_iter().find(|(group, _)| group.path == path);
        let Some((group, wavelength)) = found else { return Ok(None) };
        let place = usize::try_from(row).unwrap_or(usize::MAX);
        let Some(chunks) = group.chunks.get(place) else { return Ok(None) };
        let first = chunks.iter().map(|chunk| chunk.address).min().unwrap_or(0);
        let end = chunks.iter().map(|chunk| chunk.end()).max().unwrap_or(0);
        let held: u64 = chunks.iter().map(|chunk| u64::from(chunk.size_bytes)).sum();
        let id_at = group.target_id + 8 * row;
        let ranges = || -> Vec<Range<u64>> {
            let wanted = chunks.iter().map(|chunk| chunk.address..chunk.end());
            let grid = group.wavelength..group.wavelength + group.wavelength_bytes() as u64;
            let grid = wavelength.get().is_none().then_some(grid);
            wanted.chain(target_id.map(|_| id_at..id_at + 8)).chain(grid).collect()
        };
        let file = self.file.with(&self.path, ranges).map_err(unread)?;
        let read = |address, count| read(&file, &self.path, address, count);
        if let Some(target_id) = target_id {
            let id = read(id_at, 8)?;
            if id.first_chunk().map(|id| i64::from_le_bytes(*id)) != Some(target_id) {
                return Ok(None);
            }
        }
        // the index made sure that all of them lie in the file
        let (mut bytes, mut starts) = (Vec::new(), [0; ARRAYS.len()]);
        if end - first <= held + GAP_BYTES {
            bytes = read(first, (end - first) as usize)?;
            starts = chunks.map(|chunk| (chunk.address - first) as usize);
        } else {
            for (start, chunk) in starts.iter_mut().zip(chunks) {
                *start = bytes.len();
                bytes.extend(read(chunk.address, chunk.size_bytes as usize)?);
            }
        }
        let part = |at: usize| &bytes[starts[at]..starts[at] + chunks[at].size_bytes as usize];
        let (filters, count) = (&self.index.filters, group.pixels as usize);
        Ok(Some(Pixels {
            wavelength: grid(group, wavelength, &read)?,
            flux: chunks[0].values(part(0), filters, count, f32::from_le_bytes)?,
            ivar: chunks[1].values(part(1), filters, count, f32::from_le_bytes)?,
            mask: chunks[2].values(part(2), filters, count, i32::from_le_bytes)?,
        }))
    }
}

/// The wavelengths of a group.
fn grid(
    group: &Group,
    known: &OnceLock<Arc<[f64]>>,
    read: &dyn Fn(u64, usize) -> Result<Vec<u8>, store::Error>,
) -> Result<Arc<[f64]>, store::Error> {
    if let Some(known) = known.get() {
        return Ok(known.clone());
    }
    let bytes = read(group.wavelength, group.wavelength_bytes())?;
    let (values, _) = bytes.as_chunks::<8>();
    let read = shared(values.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect());
    Ok(known.get_or_init(|| read).clone())
}

fn read(file: &Handle, path: &Path, start: u64, length: usize) -> Result<Vec<u8>, store::Error> {
    file.bytes(path, start, length).map_err(unread)
}

/// What tells of the file and not of the system stays as it is, within.
fn unread(error: read::Error) -> store::Error {
    match error {
        read::Error::Io { source, .. } => source.into(),
        other => io::Error::other(other).into(),
    }
}

/// The same wavelengths as another file has, where it has them: most files have the same.
fn shared(wavelength: Vec<f64>) -> Arc<[f64]> {
    static KNOWN: Own<Mutex<Vec<Arc<[f64]>>>> = Own::new();
    let mut known = KNOWN.get().lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(same) = known.iter().find(|known| known[..] == wavelength[..]) {
        return same.clone();
    }
    let new: Arc<[f64]> = wavelength.into();
    if known.len() < GRIDS {
        known.push(new.clone());
    }
    new
}
