//! What lies in a store, or in a pile, read back row by row.

use crate::derive::Fault;
use crate::derive::input::Input;
use bifrost_core::layout::Lake;
use bifrost_core::store::{ARRAYS, Group, Index};
use bifrost_core::tile::Tile;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// An open file that ends in an index.
#[derive(Debug)]
pub(crate) struct Stored {
    path: PathBuf,
    file: File,
    pub(super) index: Index,
    sound: OnceLock<bool>,
}

/// The arrays of a row.
pub(crate) struct Row {
    pub(crate) flux: Vec<f32>,
    pub(crate) ivar: Vec<f32>,
    pub(crate) mask: Vec<i32>,
}

impl Stored {
    /// Opens a store. None where there is none.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, Fault> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|error| unread(path, &error))?,
        };
        let size_bytes = file.metadata().map_err(|error| unread(path, &error))?.len();
        let (index, _) = Index::read(&file, size_bytes)
            .map_err(|error| Fault::Corrupt(format!("{} {error}", path.display())))?;
        Ok(Some(Self { path: path.to_owned(), file, index, sound: OnceLock::new() }))
    }

    /// Reads all of it, once, and compares checksums.
    pub(super) fn verify(&self) -> Result<(), Fault> {
        let look = || self.file.try_clone().and_then(|mut file| self.index.is_sound(&mut file));
        if *self.sound.get_or_init(|| look().unwrap_or(false)) {
            return Ok(());
        }
        let words = "is not what its checksum states: restore it, or convert its tiles again";
        Err(Fault::Corrupt(format!("{} {words}", self.path.display())))
    }

    /// The store of a tile's pixel, if it holds the arrays of that very file.
    pub(crate) fn of(lake: &Lake, tile: &Tile, input: &Input) -> Result<Self, Fault> {
        let stored = Self::open(&lake.store(tile.pixel))?;
        stored.filter(|stored| stored.holds(tile, input)).ok_or_else(|| no_arrays(tile))
    }

    /// Whether it holds the arrays of a file: they were made with it.
    pub(crate) fn holds(&self, tile: &Tile, input: &Input) -> bool {
        self.index.group(tile).is_some_and(|group| {
            (&group.parent.content, &group.parent.order)
                == (&input.parent.content, &input.parent.order)
        })
    }

    pub(crate) fn group(&self, tile: &Tile) -> Result<&Group, Fault> {
        self.index.group(tile).ok_or_else(|| no_arrays(tile))
    }

    /// Å, of all rows of a group.
    pub(crate) fn wavelength(&self, group: &Group) -> Result<Vec<f64>, Fault> {
        let bytes = self.bytes(group.wavelength, group.wavelength_bytes())?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
    }

    pub(crate) fn target_ids(&self, group: &Group) -> Result<Vec<i64>, Fault> {
        let bytes = self.bytes(group.target_id, 8 * group.rows as usize)?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
    }

    /// The chunks of a row as they lie there.
    pub(super) fn chunks(&self, group: &Group, row: usize) -> Result<[Vec<u8>; 3], Fault> {
        let chunks = group.chunks.get(row).ok_or_else(|| no_arrays(&group.tile))?;
        let mut found = [const { Vec::new() }; ARRAYS.len()];
        for (bytes, chunk) in found.iter_mut().zip(chunks) {
            *bytes = self.bytes(chunk.address, chunk.size_bytes as usize)?;
        }
        Ok(found)
    }

    pub(crate) fn row(&self, group: &Group, row: usize) -> Result<Row, Fault> {
        let [flux, ivar, mask] = self.chunks(group, row)?;
        let [at_flux, at_ivar, at_mask] =
            group.chunks.get(row).ok_or_else(|| no_arrays(&group.tile))?;
        let (filters, count) = (&self.index.filters, group.pixels as usize);
        let damaged = |error: bifrost_core::store::Error| {
            Fault::Corrupt(format!("{} {error}", self.path.display()))
        };
        Ok(Row {
            flux: at_flux.values(&flux, filters, count, f32::from_le_bytes).map_err(damaged)?,
            ivar: at_ivar.values(&ivar, filters, count, f32::from_le_bytes).map_err(damaged)?,
            mask: at_mask.values(&mask, filters, count, i32::from_le_bytes).map_err(damaged)?,
        })
    }

    fn bytes(&self, address: u64, count: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; count];
        let read = self.file.read_exact_at(&mut bytes, address);
        read.map_err(|error| unread(&self.path, &error)).map(|()| bytes)
    }
}

fn unread(path: &Path, error: &io::Error) -> Fault {
    Fault::Corrupt(format!("{} cannot be read: {error}", path.display()))
}

/// What is to be done about a file whose arrays are nowhere.
pub(crate) fn no_arrays(tile: &Tile) -> Fault {
    Fault::Corrupt(format!(
        "{tile} has its arrays in the pixel's spectra store, and the store that is there does not hold \
         them: restore it, or convert the tile again"
    ))
}
