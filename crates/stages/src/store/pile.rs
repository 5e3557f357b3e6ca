//! A tile's arrays on their way from the archive into its pixel's store: the chunks of its rows one
//! after the other, and an index of them. A pile is a store without HDF5 around it.

use super::encode::Layout;
use super::made_by;
use bifrost_core::metadata::Parent;
use bifrost_core::publish::PILE;
use bifrost_core::store::{ARRAYS, Chunk, Group, Index};
use bifrost_core::tile::Tile;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The chunks of a row: bytes, and which filters were not applied.
pub(crate) type Encoded = [(Vec<u8>, u32); ARRAYS.len()];

/// A pile that is being written.
pub(crate) struct Pile {
    file: BufWriter<File>,
    at: u64,
    chunks: Vec<[Chunk; ARRAYS.len()]>,
    layout: Layout,
}

impl Pile {
    /// Where the pile lies that belongs to a draft.
    pub(crate) fn beside(draft: &Path) -> PathBuf {
        draft.with_extension(PILE)
    }

    pub(crate) fn create(path: &Path, layout: Layout) -> io::Result<Self> {
        // its sum is taken when it is whole
        let file = File::options().create(true).truncate(true).read(true).write(true).open(path)?;
        Ok(Self { file: BufWriter::new(file), at: 0, chunks: Vec::new(), layout })
    }

    /// The chunks of a row, made.
    pub(crate) fn encode(&self, flux: &[f32], ivar: &[f32], mask: &[i32]) -> Encoded {
        let compression = self.layout.compression;
        [
            compression.chunk(flux, f32::to_le_bytes),
            compression.chunk(ivar, f32::to_le_bytes),
            compression.chunk(mask, i32::to_le_bytes),
        ]
    }

    /// Adds a row.
    pub(crate) fn put(&mut self, row: &Encoded) -> io::Result<()> {
        let mut chunks = [Chunk { address: 0, size_bytes: 0, skipped: 0 }; ARRAYS.len()];
        for (chunk, (bytes, skipped)) in chunks.iter_mut().zip(row) {
            let size_bytes = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            *chunk = Chunk { address: self.at, size_bytes, skipped: *skipped };
            self.file.write_all(bytes)?;
            self.at += bytes.len() as u64;
        }
        self.chunks.push(chunks);
        Ok(())
    }

    /// Writes what there is once, and the index. The file that they belong to is not yet known.
    pub(crate) fn finish(
        mut self,
        tile: &Tile,
        wavelength: &[f64],
        target_ids: &[i64],
    ) -> io::Result<()> {
        let wavelength_at = self.at;
        for value in wavelength {
            self.file.write_all(&value.to_le_bytes())?;
        }
        for id in target_ids {
            self.file.write_all(&id.to_le_bytes())?;
        }
        let none = String::new;
        let group = Group {
            path: format!("/{}/{}/{}", tile.release, tile.survey, tile.program),
            tile: tile.clone(),
            parent: Parent {
                product: crate::stage::name(bifrost_core::layout::SPECTRA),
                name: none(),
                size_bytes: 0,
                mtime_ns: 0,
                content: none(),
                order: none(),
            },
            rows: u32::try_from(target_ids.len()).map_err(io::Error::other)?,
            pixels: u32::try_from(wavelength.len()).map_err(io::Error::other)?,
            target_ids: target_ids.iter().min().copied().zip(target_ids.iter().max().copied()),
            wavelength: wavelength_at,
            target_id: wavelength_at + 8 * wavelength.len() as u64,
            chunks_at: 0,
            chunks: self.chunks,
        };
        let filters = self.layout.compression.filters();
        let index = Index::new(made_by(), none(), filters, vec![group]);
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        index.append(&mut file)
    }
}
