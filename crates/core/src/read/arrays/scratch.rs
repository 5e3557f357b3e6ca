//! What is used again from page to page and from file to file: buffers, and what zstd needs.

use super::Fault;
use super::header::{Header, Kind};
use super::levels::Rows;
use crate::process::Own;
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

static POOL: Own<Mutex<Vec<Scratch>>> = Own::new();

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

/// Bytes in one of the buffers.
#[derive(Debug)]
pub(super) enum Place {
    Packed(Range<usize>),
    Plain(Range<usize>),
}

impl Place {
    pub(super) fn of<'a>(&self, packed: &'a [u8], plain: &'a [u8]) -> Result<&'a [u8], Fault> {
        let bytes = match self {
            Self::Packed(range) => packed.get(range.clone()),
            Self::Plain(range) => plain.get(range.clone()),
        };
        bytes.ok_or(Fault::End)
    }
}

/// Where the levels of an unpacked page are, and from where on in `plain` its values.
#[derive(Debug)]
pub(super) struct Levels {
    pub(super) repetition: Place,
    pub(super) definition: Place,
    pub(super) values_from: usize,
}

impl Scratch {
    pub(super) fn take() -> Self {
        POOL.get().lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(super) fn give_back(self) {
        let mut pool = POOL.get().lock().unwrap_or_else(PoisonError::into_inner);
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
    pub(super) fn levels(&self, at: &Place) -> Result<&[u8], Fault> {
        at.of(&self.packed, &self.plain)
    }

    /// Unpacks a data page that has levels of repetition, of definition, both, or none.
    pub(super) fn open(
        &mut self,
        header: &Header,
        body: Range<usize>,
        codec: (Compression, usize),
        (repeats, is_defined): (bool, bool),
    ) -> Result<Levels, Fault> {
        match header.kind {
            Kind::Data => {
                self.unpack(body, header.plain_bytes, codec)?;
                let next = |from: usize, is_there: bool| match is_there {
                    true => prefixed(&self.plain, from),
                    false => Ok(from..from),
                };
                let repetition = next(0, repeats)?;
                let definition = next(repetition.end, is_defined)?;
                Ok(Levels {
                    values_from: definition.end,
                    repetition: Place::Plain(repetition),
                    definition: Place::Plain(definition),
                })
            }
            Kind::DataV2 { repetition_bytes, definition_bytes, is_compressed } => {
                let repetition = body.start..body.start + repetition_bytes;
                let definition = repetition.end..repetition.end + definition_bytes;
                let levels = repetition_bytes + definition_bytes;
                if definition.end > body.end || levels > header.plain_bytes {
                    return Err(Fault::End);
                }
                let codec =
                    if is_compressed { codec } else { (Compression::UNCOMPRESSED, codec.1) };
                self.unpack(definition.end..body.end, header.plain_bytes - levels, codec)?;
                Ok(Levels {
                    values_from: 0,
                    repetition: Place::Packed(repetition),
                    definition: Place::Packed(definition),
                })
            }
            Kind::Dictionary => Err(Fault::Header),
        }
    }
}

/// Bytes with their number before them.
fn prefixed(bytes: &[u8], at: usize) -> Result<Range<usize>, Fault> {
    let length = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Fault::End)?;
    let start = at + size_of::<u32>();
    Ok(start..start + u32::from_le_bytes(*length) as usize)
}
