//! The array columns' own encoder.
//!
//! A row group holds millions of array values, as many in every row: what a general writer works out
//! for each value (levels, dictionary look-ups) is known here beforehand. Pages hold a few whole rows, so that one spectrum is read without its
//! neighbours; rows are read, rounded, encoded and compressed block by block on all cores, and only
//! finished pages are held.
//!
//! | column | encoding |
//! |---|---|
//! | wavelength | one dictionary; every row has the same indices |
//! | flux, ivar | byte stream split; each of the four byte planes is compressed on its own |
//! | mask_array | dictionary; runs of indices |

mod chunk;
mod compress;
mod hybrid;
#[cfg(test)]
mod tests;

pub(crate) use chunk::Chunk;
pub(crate) use compress::compression;

use super::coadd::{Pixels, Spectra};
use super::config::{Codec, Layout};
use super::precision::Precision;
use super::write::Fault;
use chunk::{FilePage, PageBody};
use compress::Compressor;
use hybrid::{bits_for, levels, packed, run};
use parquet::basic::Encoding;
use parquet::schema::types::ColumnDescPtr;
use rayon::prelude::*;
use std::collections::HashMap;

/// Rows of a wavelength page: all rows are alike, so that long pages cost nothing.
const WAVELENGTH_PAGE_ROWS: usize = 64;
/// Distinct masks of a row group beyond which they are written plainly.
const MAX_MASKS: usize = 1 << 15;

/// Encodes the array columns of row groups.
pub(crate) struct ArrayEncoder {
    layout: Layout,
    precision: Precision,
    grid: Grid,
    wavelength_pages: HashMap<usize, FilePage>,
}

/// The array columns of a row group, in file order, and what was learnt on the way.
pub(crate) struct EncodedGroup {
    pub(crate) chunks: Vec<Chunk>,
    /// Good pixels by row and arm.
    pub(crate) good: Vec<[i32; 3]>,
    /// Pixels that were not finite.
    pub(crate) repaired: u64,
}

/// Descriptors of the four array columns in file order.
pub(crate) type ArrayColumns = [ColumnDescPtr; 4];

/// The wavelengths as dictionary and indices.
struct Grid {
    width: usize,
    dictionary: Vec<u8>,
    values: usize,
    indices: Vec<u32>,
}

impl Grid {
    fn new(wavelength: &[f64]) -> Self {
        let mut seen = HashMap::new();
        let mut dictionary = Vec::new();
        let indices = wavelength
            .iter()
            .map(|w| {
                let next = seen.len() as u32;
                *seen.entry(w.to_bits()).or_insert_with(|| {
                    dictionary.extend_from_slice(&w.to_le_bytes());
                    next
                })
            })
            .collect();
        Self { width: wavelength.len(), dictionary, values: seen.len(), indices }
    }
}

/// A block of rows on its way: finished pages, and masks that wait for the dictionary.
struct Block {
    flux: FilePage,
    ivar: FilePage,
    masks: Masks,
    good: Vec<[i32; 3]>,
    repaired: u64,
}

/// Masks of a block as runs.
struct Masks {
    rows: usize,
    runs: Vec<(i32, u32)>,
}

/// What a worker uses again from block to block.
struct Worker {
    compressor: Compressor,
    pixels: Pixels,
    page: Vec<u8>,
}

impl Worker {
    fn new(codec: Codec) -> Self {
        Self { compressor: Compressor::new(codec), pixels: Pixels::default(), page: Vec::new() }
    }
}

impl ArrayEncoder {
    pub(crate) fn new(spectra: &Spectra, layout: Layout, precision: Precision) -> Self {
        let mut wavelength = spectra.wavelength().to_vec();
        precision.round_wavelength(&mut wavelength);
        Self { layout, precision, grid: Grid::new(&wavelength), wavelength_pages: HashMap::new() }
    }

    /// Reads, rounds and encodes rows of the coadd file.
    pub(crate) fn encode(
        &mut self,
        spectra: &Spectra,
        rows: &[u32],
        columns: &ArrayColumns,
    ) -> Result<EncodedGroup, Fault> {
        let layout = self.layout;
        let blocks: Vec<Block> = rows
            .par_chunks(layout.page_rows.max(1))
            .map_init(
                || Worker::new(layout.codec),
                |worker, rows| self.encode_block(spectra, rows, worker),
            )
            .collect::<Result<_, Fault>>()?;
        let mut group = EncodedGroup { chunks: Vec::new(), good: Vec::new(), repaired: 0 };
        let (mut flux, mut ivar, mut masks) = (Vec::new(), Vec::new(), Vec::new());
        for block in blocks {
            flux.push(block.flux);
            ivar.push(block.ivar);
            masks.push(block.masks);
            group.good.extend(block.good);
            group.repaired += block.repaired;
        }
        let codec = compression(layout.codec)?;
        let [wavelength_column, flux_column, ivar_column, mask_column] = columns.clone();
        let (dictionary, pages) = self.wavelength(rows.len())?;
        group.chunks.push(Chunk::new(wavelength_column, codec, Some(dictionary), pages)?);
        group.chunks.push(Chunk::new(flux_column, codec, None, flux)?);
        group.chunks.push(Chunk::new(ivar_column, codec, None, ivar)?);
        let (dictionary, pages) = self.encode_masks(&masks)?;
        group.chunks.push(Chunk::new(mask_column, codec, dictionary, pages)?);
        Ok(group)
    }

    fn encode_block(
        &self,
        spectra: &Spectra,
        rows: &[u32],
        worker: &mut Worker,
    ) -> Result<Block, Fault> {
        let Worker { compressor, pixels, page } = worker;
        spectra.read(rows, pixels)?;
        self.precision.round_pixels(&mut pixels.flux, &mut pixels.ivar);
        Ok(Block {
            flux: self.split(rows.len(), &pixels.flux, compressor, page)?,
            ivar: self.split(rows.len(), &pixels.ivar, compressor, page)?,
            masks: Masks { rows: rows.len(), runs: runs(&pixels.mask) },
            good: std::mem::take(&mut pixels.good),
            repaired: pixels.repaired,
        })
    }

    /// A page of singles whose first bytes stand together, then their second bytes …
    fn split(
        &self,
        rows: usize,
        values: &[f32],
        compressor: &mut Compressor,
        page: &mut Vec<u8>,
    ) -> Result<FilePage, Fault> {
        page.clear();
        levels(rows, self.grid.width, page);
        let levels_bytes = page.len();
        for shift in [0, 8, 16, 24] {
            page.extend(values.iter().map(|x| (x.to_bits() >> shift) as u8));
        }
        let plane = values.len();
        let parts = [levels_bytes + plane, plane, plane];
        let compressed = compressor.compress(page, &parts)?;
        self.page(rows, compressed, page.len(), Encoding::BYTE_STREAM_SPLIT)
    }

    fn page(
        &self,
        rows: usize,
        compressed: Vec<u8>,
        uncompressed_bytes: usize,
        encoding: Encoding,
    ) -> Result<FilePage, Fault> {
        let values = rows * self.grid.width;
        Ok(FilePage::data(PageBody { compressed, uncompressed_bytes, rows, values, encoding })?)
    }

    /// The wavelength's dictionary and pages; pages of as many rows are the same.
    fn wavelength(&mut self, rows: usize) -> Result<(FilePage, Vec<FilePage>), Fault> {
        let mut compressor = Compressor::new(self.layout.codec);
        let compressed = compressor.compress(&self.grid.dictionary, &[])?;
        let size = self.grid.dictionary.len();
        let dictionary = FilePage::dictionary(compressed, size, self.grid.values)?;
        let mut pages = Vec::new();
        let mut left = rows;
        while left > 0 {
            let rows = left.min(WAVELENGTH_PAGE_ROWS);
            let page = match self.wavelength_pages.get(&rows) {
                Some(page) => page.clone(),
                None => self.wavelength_page(rows, &mut compressor)?,
            };
            self.wavelength_pages.insert(rows, page.clone());
            pages.push(page);
            left -= rows;
        }
        Ok((dictionary, pages))
    }

    fn wavelength_page(&self, rows: usize, compressor: &mut Compressor) -> Result<FilePage, Fault> {
        let Grid { width, values, indices, .. } = &self.grid;
        let mut page = Vec::new();
        levels(rows, *width, &mut page);
        let bits = bits_for(values.saturating_sub(1));
        page.push(bits);
        packed(indices.repeat(rows).into_iter(), bits, &mut page);
        let compressed = compressor.compress(&page, &[])?;
        self.page(rows, compressed, page.len(), Encoding::RLE_DICTIONARY)
    }

    fn encode_masks(&self, blocks: &[Masks]) -> Result<(Option<FilePage>, Vec<FilePage>), Fault> {
        let mut index: HashMap<i32, u32> = HashMap::new();
        let mut dictionary = Vec::new();
        for (value, _) in blocks.iter().flat_map(|block| &block.runs) {
            let next = index.len() as u32;
            index.entry(*value).or_insert_with(|| {
                dictionary.extend_from_slice(&value.to_le_bytes());
                next
            });
        }
        let mut compressor = Compressor::new(self.layout.codec);
        let is_plain = index.len() > MAX_MASKS;
        let bits = bits_for(index.len().saturating_sub(1));
        let mut page = Vec::new();
        let pages = blocks
            .iter()
            .map(|block| {
                page.clear();
                levels(block.rows, self.grid.width, &mut page);
                if is_plain {
                    for (value, count) in &block.runs {
                        (0..*count).for_each(|_| page.extend_from_slice(&value.to_le_bytes()));
                    }
                } else {
                    page.push(bits);
                    for (value, count) in &block.runs {
                        run(index[value], *count as usize, bits, &mut page);
                    }
                }
                let compressed = compressor.compress(&page, &[])?;
                let encoding = if is_plain { Encoding::PLAIN } else { Encoding::RLE_DICTIONARY };
                self.page(block.rows, compressed, page.len(), encoding)
            })
            .collect::<Result<_, Fault>>()?;
        if is_plain {
            return Ok((None, pages));
        }
        let compressed = compressor.compress(&dictionary, &[])?;
        Ok((Some(FilePage::dictionary(compressed, dictionary.len(), index.len())?), pages))
    }
}

/// Runs of equal values. Masks are mostly 0: eight zeros are passed over at once.
fn runs(values: &[i32]) -> Vec<(i32, u32)> {
    let mut runs: Vec<(i32, u32)> = Vec::new();
    let mut push = |value, count| match runs.last_mut() {
        Some((last, n)) if *last == value => *n += count,
        _ => runs.push((value, count)),
    };
    let (eights, rest) = values.as_chunks::<8>();
    for eight in eights {
        if eight.iter().fold(0, |any, value| any | value) == 0 {
            push(0, 8);
        } else {
            eight.iter().for_each(|value| push(*value, 1));
        }
    }
    rest.iter().for_each(|value| push(*value, 1));
    runs
}
