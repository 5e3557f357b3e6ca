//! Tile-compressed images (GZIP_1 and RICE_1): one tile a row, as the archive compresses masks.

use super::Header;
use flate2::{Compression, GzBuilder};
use rayon::prelude::*;
use std::io::{self, Write};

/// How the tiles of a compressed image are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// The gzip stream of each row's big-endian values.
    Gzip1,
    /// Rice coding of the differences, blocks of 32 values.
    Rice1,
}

/// Pixels in a block of the Rice coder.
const RICE_BLOCK: usize = 32;

/// A compressed image of unsigned 32-bit values (`BZERO` 2³¹) of `width` pixels a row: its header,
/// and its data unit (descriptors, then heap).
///
/// # Errors
/// Those of the gzip encoder.
pub fn compress_rows(
    name: &str,
    codec: Codec,
    pixels: &[u32],
    width: usize,
) -> io::Result<(Header, Vec<u8>)> {
    let tiles: Vec<Vec<u8>> = pixels
        .par_chunks_exact(width)
        .map(|row| {
            // BZERO 2^31: the stored value is the signed one with the same order
            let stored: Vec<i32> = row.iter().map(|p| (p ^ 0x8000_0000).cast_signed()).collect();
            match codec {
                Codec::Gzip1 => gzip(&stored),
                Codec::Rice1 => Ok(rice(&stored)),
            }
        })
        .collect::<io::Result<_>>()?;
    let heap_bytes: usize = tiles.iter().map(Vec::len).sum();
    let longest = tiles.iter().map(Vec::len).max().unwrap_or(0);
    let mut data = Vec::with_capacity(8 * tiles.len() + heap_bytes);
    let mut offset = 0;
    for tile in &tiles {
        data.extend_from_slice(&(tile.len() as u32).to_be_bytes());
        data.extend_from_slice(&(offset as u32).to_be_bytes());
        offset += tile.len();
    }
    data.extend(tiles.iter().flatten());
    Ok((header(name, codec, [width, tiles.len()], heap_bytes, longest), data))
}

fn header(
    name: &str,
    codec: Codec,
    [width, rows]: [usize; 2],
    heap_bytes: usize,
    longest: usize,
) -> Header {
    let mut header = Header::default();
    header
        .text("XTENSION", "BINTABLE", "binary table extension")
        .int("BITPIX", 8, "array data type")
        .int("NAXIS", 2, "number of array dimensions")
        .int("NAXIS1", 8, "width of table in bytes")
        .int("NAXIS2", rows as i64, "number of rows in table")
        .int("PCOUNT", heap_bytes as i64, "number of group parameters")
        .int("GCOUNT", 1, "number of groups")
        .int("TFIELDS", 1, "number of fields in each row")
        .text("TTYPE1", "COMPRESSED_DATA", "")
        .text("TFORM1", &format!("1PB({longest})"), "")
        .flag("ZIMAGE", true, "extension contains compressed image")
        .text("ZTENSION", "IMAGE", "Image extension")
        .int("ZBITPIX", 32, "array data type")
        .int("ZNAXIS", 2, "number of array dimensions")
        .int("ZNAXIS1", width as i64, "")
        .int("ZNAXIS2", rows as i64, "")
        .int("ZPCOUNT", 0, "number of parameters")
        .int("ZGCOUNT", 1, "number of groups")
        .int("ZTILE1", width as i64, "size of tiles to be compressed")
        .int("ZTILE2", 1, "size of tiles to be compressed");
    match codec {
        Codec::Gzip1 => header.text("ZCMPTYPE", "GZIP_1", "compression algorithm"),
        Codec::Rice1 => header
            .text("ZCMPTYPE", "RICE_1", "compression algorithm")
            .text("ZNAME1", "BLOCKSIZE", "compression block size")
            .int("ZVAL1", RICE_BLOCK as i64, "pixels per block")
            .text("ZNAME2", "BYTEPIX", "bytes per pixel (1, 2, 4, or 8)")
            .int("ZVAL2", 4, "bytes per pixel (1, 2, 4, or 8)"),
    };
    header
        .text("EXTNAME", name, "name of this binary table extension")
        .int("BZERO", 1 << 31, "")
        .int("BSCALE", 1, "");
    header
}

fn gzip(row: &[i32]) -> io::Result<Vec<u8>> {
    let bytes: Vec<u8> = row.iter().flat_map(|v| v.to_be_bytes()).collect();
    let mut packed = GzBuilder::new().write(Vec::new(), Compression::fast());
    packed.write_all(&bytes)?;
    packed.finish()
}

/// Rice coding as the FITS standard (section 10.4.1) lays it down for 4-byte integers.
fn rice(row: &[i32]) -> Vec<u8> {
    /// Bits that name the split of a block, and the split from which coding does not pay.
    const SPLIT_BITS: u32 = 5;
    const SPLIT_MAX: u32 = 25;
    let mut bits = Bits::default();
    let Some(&first) = row.first() else { return bits.bytes };
    bits.put(first.cast_unsigned(), 32);
    let mut last = first;
    for block in row.chunks(RICE_BLOCK) {
        let differences: Vec<u32> = block
            .iter()
            .map(|&value| {
                let difference = value.wrapping_sub(last);
                last = value;
                // zigzag: the sign goes into the lowest bit
                ((difference << 1) ^ (difference >> 31)).cast_unsigned()
            })
            .collect();
        let total: u64 = differences.iter().map(|d| u64::from(*d)).sum();
        let split = split_of(total, block.len() as u64);
        if split >= SPLIT_MAX {
            bits.put(SPLIT_MAX + 1, SPLIT_BITS);
            differences.iter().for_each(|d| bits.put(*d, 32));
        } else if total == 0 {
            bits.put(0, SPLIT_BITS);
        } else {
            bits.put(split + 1, SPLIT_BITS);
            for difference in differences {
                bits.put_unary(difference >> split);
                bits.put(difference & ((1 << split) - 1), split);
            }
        }
    }
    bits.finish()
}

/// Low bits that are stored as they are: about the logarithm of the mean difference.
fn split_of(total: u64, count: u64) -> u32 {
    let mean = total.saturating_sub(count / 2 + 1) / count;
    u64::BITS - (mean >> 1).leading_zeros()
}

/// Bits packed from the highest of each byte down.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    pending: u64,
    pending_bits: u32,
}

impl Bits {
    /// Appends the lowest `count` bits of a value, at most 32.
    fn put(&mut self, value: u32, count: u32) {
        self.pending = (self.pending << count) | u64::from(value);
        self.pending_bits += count;
        while self.pending_bits >= 8 {
            self.pending_bits -= 8;
            self.bytes.push((self.pending >> self.pending_bits) as u8);
        }
    }

    /// Appends as many zeros as the value says, then a one.
    fn put_unary(&mut self, mut value: u32) {
        while value >= 31 {
            self.put(0, 31);
            value -= 31;
        }
        self.put(1, value + 1);
    }

    fn finish(mut self) -> Vec<u8> {
        let padding = (8 - self.pending_bits % 8) % 8;
        self.put(0, padding);
        self.bytes
    }
}
