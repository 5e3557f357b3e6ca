//! One row's spectrum from a spectra store: its chunks are read where the index says, and decoded here.

use super::{Pixels, Source};
use crate::store::{self, ARRAYS, Group, Index};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Chunks of a row that lie no farther apart are read at once, with what is between them.
const GAP_BYTES: u64 = 16 << 10;
/// Wavelengths that are kept once for all files.
const GRIDS: usize = 16;

/// An open store, and its index.
#[derive(Debug)]
pub(super) struct Store {
    file: File,
    index: Index,
    /// Of each group, once they were asked for.
    wavelengths: Vec<OnceLock<Arc<[f64]>>>,
}

impl Store {
    pub(super) fn open(file: File, size_bytes: u64) -> Result<Self, store::Error> {
        let (index, _) = Index::read(&file, size_bytes)?;
        let wavelengths = index.groups.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { file, index, wavelengths })
    }

    /// The spectrum in a row of a group; none where the store holds another object there.
    pub(super) fn pixels(
        &self,
        path: &str,
        source: &Source,
    ) -> Result<Option<Pixels>, store::Error> {
        let groups = self.index.groups.iter().zip(&self.wavelengths);
        let found = groups.into_iter().find(|(group, _)| group.path == path);
        let Some((group, wavelength)) = found else { return Ok(None) };
        let row = usize::try_from(source.row).unwrap_or(usize::MAX);
        let Some(chunks) = group.chunks.get(row) else { return Ok(None) };
        let mut id = [0; 8];
        self.file.read_exact_at(&mut id, group.target_id + 8 * source.row)?;
        if i64::from_le_bytes(id) != source.target_id {
            return Ok(None);
        }
        let first = chunks.iter().map(|chunk| chunk.address).min().unwrap_or(0);
        let end = chunks.iter().map(|chunk| chunk.end()).max().unwrap_or(0);
        let held: u64 = chunks.iter().map(|chunk| u64::from(chunk.size_bytes)).sum();
        // the index made sure that all of them lie in the file
        let (mut bytes, mut starts) = (Vec::new(), [0; ARRAYS.len()]);
        if end - first <= held + GAP_BYTES {
            bytes = self.read(first, (end - first) as usize)?;
            starts = chunks.map(|chunk| (chunk.address - first) as usize);
        } else {
            for (start, chunk) in starts.iter_mut().zip(chunks) {
                *start = bytes.len();
                bytes.extend(self.read(chunk.address, chunk.size_bytes as usize)?);
            }
        }
        let part = |at: usize| &bytes[starts[at]..starts[at] + chunks[at].size_bytes as usize];
        let (filters, count) = (&self.index.filters, group.pixels as usize);
        Ok(Some(Pixels {
            wavelength: self.wavelength(group, wavelength)?,
            flux: chunks[0].values(part(0), filters, count, f32::from_le_bytes)?,
            ivar: chunks[1].values(part(1), filters, count, f32::from_le_bytes)?,
            mask: chunks[2].values(part(2), filters, count, i32::from_le_bytes)?,
        }))
    }

    fn read(&self, address: u64, count: usize) -> Result<Vec<u8>, store::Error> {
        let mut bytes = vec![0; count];
        self.file.read_exact_at(&mut bytes, address)?;
        Ok(bytes)
    }

    fn wavelength(
        &self,
        group: &Group,
        known: &OnceLock<Arc<[f64]>>,
    ) -> Result<Arc<[f64]>, store::Error> {
        if let Some(known) = known.get() {
            return Ok(known.clone());
        }
        let bytes = self.read(group.wavelength, group.wavelength_bytes())?;
        let (values, _) = bytes.as_chunks::<8>();
        let read = shared(values.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect());
        Ok(known.get_or_init(|| read).clone())
    }
}

/// The same wavelengths as another file has, where it has them: most files have the same.
fn shared(wavelength: Vec<f64>) -> Arc<[f64]> {
    static KNOWN: Mutex<Vec<Arc<[f64]>>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(same) = known.iter().find(|known| known[..] == wavelength[..]) {
        return same.clone();
    }
    let new: Arc<[f64]> = wavelength.into();
    if known.len() < GRIDS {
        known.push(new.clone());
    }
    new
}
