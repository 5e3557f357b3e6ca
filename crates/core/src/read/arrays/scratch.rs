//! What is used again from page to page and from file to file: buffers, and what zstd needs.

use super::Fault;
use super::levels::Rows;
use parquet::basic::Compression;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use zstd::bulk::Decompressor;

/// Kept for whoever reads next.
const KEPT: usize = 32;
/// One that grew beyond this is not kept.
const KEPT_BYTES: usize = 32 << 20;
/// The most that a byte of each codec can become, and what comes on top of it: a block of zstd states
/// in 4 bytes that 128 KiB are alike, an element of Snappy in 3 bytes that 64 are.
const GROWTH: [(usize, usize); 2] = [(32 << 10, 128 << 10), (32, 64)];

static POOL: Mutex<Vec<Scratch>> = Mutex::new(Vec::new());

/// Of one column.
#[derive(Default)]
pub(super) struct Scratch {
    zstd: Option<Decompressor<'static>>,
    /// Bytes as they lie in the file.
    pub(super) packed: Vec<u8>,
    /// The page as it was before it was compressed.
    pub(super) plain: Vec<u8>,
    pub(super) rows: Rows,
}

impl Scratch {
    pub(super) fn take() -> Self {
        POOL.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(super) fn give_back(self) {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < KEPT && self.packed.capacity() + self.plain.capacity() <= KEPT_BYTES {
            pool.push(self);
        }
    }

    /// Makes `plain` the bytes that some of `packed` were before they were compressed.
    pub(super) fn unpack(
        &mut self,
        from: Range<usize>,
        plain_bytes: usize,
        (codec, bytes_max): (Compression, usize),
    ) -> Result<(), Fault> {
        let packed = self.packed.get(from).ok_or(Fault::End)?;
        if packed.is_empty() && plain_bytes == 0 {
            self.plain.clear();
            return Ok(());
        }
        let most = match codec {
            Compression::ZSTD(_) => GROWTH[0],
            Compression::SNAPPY => GROWTH[1],
            _ => (1, 0),
        };
        let most = packed.len().saturating_mul(most.0).saturating_add(most.1);
        if plain_bytes > most.min(bytes_max) {
            return Err(Fault::Size);
        }
        let plain = &mut self.plain;
        plain.resize(plain_bytes, 0);
        let made = match codec {
            Compression::ZSTD(_) => {
                let zstd = match &mut self.zstd {
                    Some(zstd) => zstd,
                    none => none.insert(Decompressor::new().map_err(Fault::Packed)?),
                };
                zstd.decompress_to_buffer(packed, plain.as_mut_slice()).map_err(Fault::Packed)?
            }
            Compression::SNAPPY => snap::raw::Decoder::new()
                .decompress(packed, plain)
                .map_err(|error| Fault::Packed(io::Error::other(error)))?,
            _ => {
                plain.get_mut(..packed.len()).ok_or(Fault::Size)?.copy_from_slice(packed);
                packed.len()
            }
        };
        if made == plain_bytes { Ok(()) } else { Err(Fault::Size) }
    }
}
