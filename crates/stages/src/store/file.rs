//! Writing the HDF5 file of a store: groups, datasets, attributes by libhdf5; chunks as they are.
//!
//! Chunks come compressed and go past libhdf5's filters straight into the file, so that its one lock
//! is held for a write and not for the compression. Where they came to lie, it says afterwards.

use super::encode::Layout;
use bifrost_core::metadata::Parent;
use bifrost_core::store::{ARRAYS, Chunk, Filter, Group as Indexed};
use bifrost_core::tile::Tile;
use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, File, Group, Location};
use hdf5_sys::h5d::{H5Dget_chunk_info_by_coord, H5Dwrite_chunk};
use hdf5_sys::h5p::H5P_DEFAULT;
use std::path::Path;

/// An HDF5 file that is being written.
pub(super) struct Store {
    file: File,
    layout: Layout,
}

/// What is said of an array, by name: unit, meaning.
pub(super) type About = Vec<(String, String)>;

/// A tile's group, being written.
pub(super) struct Tiled {
    group: Group,
    path: String,
    arrays: [Dataset; ARRAYS.len()],
    rows: usize,
    pixels: usize,
}

impl Store {
    pub(super) fn create(path: &Path, layout: Layout) -> hdf5::Result<Self> {
        // the oldest format whose index of chunks is one array
        let file = File::with_options().with_fapl(|plist| plist.libver_v110()).create(path)?;
        Ok(Self { file, layout })
    }

    /// The file itself, for attributes.
    pub(super) fn root(&self) -> &Group {
        &self.file
    }

    /// Begins a tile's group.
    pub(super) fn tile(&self, tile: &Tile, rows: usize, pixels: usize) -> hdf5::Result<Tiled> {
        let path = format!("/{}/{}/{}", tile.release, tile.survey, tile.program);
        let group = self.file.create_group(&path)?;
        let [flux, ivar, mask] = ARRAYS;
        let arrays = [
            self.array::<f32>(&group, flux, rows, pixels)?,
            self.array::<f32>(&group, ivar, rows, pixels)?,
            self.array::<i32>(&group, mask, rows, pixels)?,
        ];
        Ok(Tiled { group, path, arrays, rows, pixels })
    }

    fn array<T: hdf5::H5Type>(
        &self,
        group: &Group,
        name: &str,
        rows: usize,
        pixels: usize,
    ) -> hdf5::Result<Dataset> {
        let mut builder = group.new_dataset_builder().obj_track_times(false);
        if rows * pixels > 0 {
            // each row is written once
            builder =
                builder.chunk((1, pixels)).fill_time(hdf5::plist::dataset_create::FillTime::Never);
            for filter in self.layout.compression.filters() {
                builder = match (filter, self.layout.compression) {
                    (Filter::Shuffle, _) => builder.shuffle(),
                    (Filter::Deflate, super::Compression::Gzip(level)) => builder.deflate(level),
                    (Filter::Deflate, super::Compression::None) => builder,
                };
            }
        }
        builder.empty::<T>().shape((rows, pixels)).create(name)
    }

    /// Makes a second name, `/main/dark`, of `/iron/main/dark`.
    pub(super) fn link(&self, tile: &Tile) -> hdf5::Result<()> {
        let target = format!("/{}/{}/{}", tile.release, tile.survey, tile.program);
        let name = format!("/{}/{}", tile.survey, tile.program);
        self.file.link_soft(&target, &name)
    }

    pub(super) fn close(self) -> hdf5::Result<()> {
        self.file.flush()?;
        self.file.close()
    }
}

impl Tiled {
    /// Writes a row's chunk of an array.
    pub(super) fn put(
        &self,
        array: usize,
        row: usize,
        chunk: &[u8],
        skipped: u32,
    ) -> hdf5::Result<()> {
        let dataset = &self.arrays[array];
        let place = [row as u64, 0];
        hdf5::sync::sync(|| {
            // SAFETY: the dataset is open, of two dimensions and chunked by rows (it has rows); `chunk`
            // outlives the call
            let ended = unsafe {
                H5Dwrite_chunk(
                    dataset.id(),
                    H5P_DEFAULT,
                    skipped,
                    place.as_ptr(),
                    chunk.len(),
                    chunk.as_ptr().cast(),
                )
            };
            if ended < 0 { Err("libhdf5 refused a chunk".into()) } else { Ok(()) }
        })
    }

    /// The group, for attributes.
    pub(super) fn group(&self) -> &Group {
        &self.group
    }

    /// Says of an array what it is.
    pub(super) fn describe(&self, array: usize, about: &About) -> hdf5::Result<()> {
        say_all(&self.arrays[array], about)
    }

    /// Writes what there is once, and says where everything lies.
    pub(super) fn finish(
        self,
        tile: &Tile,
        parent: Parent,
        (wavelength, about): (&[f64], &About),
        target_ids: &[i64],
    ) -> hdf5::Result<Indexed> {
        let wavelength = self.once("wavelength", wavelength)?;
        say_all(&wavelength, about)?;
        let mut order: Vec<u32> = (0..).take(self.rows).collect();
        order.sort_by_key(|row| target_ids[*row as usize]);
        let sorted: Vec<i64> = order.iter().map(|row| target_ids[*row as usize]).collect();
        let ids = self.once("target_id", target_ids)?;
        say(&ids, "description", "TARGETID of each row")?;
        let sorted_ids = self.once("target_id_sorted", &sorted)?;
        say(&sorted_ids, "description", "the TARGETIDs, ascending")?;
        let rows = self.once("row", &order)?;
        say(&rows, "description", "the row of each of target_id_sorted")?;
        let chunks = (0..self.rows).map(|row| {
            let mut chunks = [Chunk { address: 0, size_bytes: 0, skipped: 0 }; ARRAYS.len()];
            for (chunk, dataset) in chunks.iter_mut().zip(&self.arrays) {
                *chunk = place_of(dataset, row)?;
            }
            Ok(chunks)
        });
        Ok(Indexed {
            path: self.path.clone(),
            tile: tile.clone(),
            parent,
            rows: self.rows as u32,
            pixels: self.pixels as u32,
            target_ids: sorted.first().copied().zip(sorted.last().copied()),
            wavelength: wavelength.offset().unwrap_or(0),
            target_id: ids.offset().unwrap_or(0),
            chunks: chunks.collect::<hdf5::Result<_>>()?,
            chunks_at: 0,
        })
    }

    /// A dataset in one piece.
    fn once<T: hdf5::H5Type>(&self, name: &str, values: &[T]) -> hdf5::Result<Dataset> {
        let builder = self.group.new_dataset_builder().obj_track_times(false).no_chunk();
        builder.with_data(values).create(name)
    }
}

/// Where libhdf5 put a row's chunk.
fn place_of(dataset: &Dataset, row: usize) -> hdf5::Result<Chunk> {
    let (place, mut skipped, mut address, mut size) = ([row as u64, 0], 0, 0, 0);
    let ended = hdf5::sync::sync(|| {
        // SAFETY: the dataset is open and of two dimensions; the places of the answers are our own
        unsafe {
            H5Dget_chunk_info_by_coord(
                dataset.id(),
                place.as_ptr(),
                &raw mut skipped,
                &raw mut address,
                &raw mut size,
            )
        }
    });
    match u32::try_from(size) {
        Ok(size_bytes) if ended >= 0 && size > 0 => Ok(Chunk { address, size_bytes, skipped }),
        _ => Err("libhdf5 does not say where a chunk lies".into()),
    }
}

/// Adds an attribute of text.
pub(super) fn say(of: &Location, name: &str, text: &str) -> hdf5::Result<()> {
    let text: VarLenUnicode = text.parse().map_err(|_| "an attribute has a NUL")?;
    of.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&text)
}

/// Adds an attribute of a number.
pub(super) fn count(of: &Location, name: &str, number: i64) -> hdf5::Result<()> {
    of.new_attr::<i64>().create(name)?.write_scalar(&number)
}

fn say_all(of: &Location, about: &About) -> hdf5::Result<()> {
    about.iter().try_for_each(|(name, text)| say(of, name, text))
}
