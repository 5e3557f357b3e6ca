//! Rows of arrays as the chunks of a store.

use bifrost_core::store::{Filter, VALUE_BYTES};
use flate2::{Compress, Compression as Level, FlushCompress};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest that a block of a deflate stream can be that is not compressed.
const STORED_MAX: usize = u16::MAX as usize;
/// What every block that was flushed ends with: an empty one that is not compressed.
const FLUSHED: [u8; 4] = [0, 0, 0xff, 0xff];

/// How arrays are stored.
///
/// A chunk is a row: whoever wants one spectrum reads and decodes nothing else. Shuffled and
/// deflated, which every HDF5 library undoes without a plugin. Most of a row's bytes are noise: the low
/// bytes of its values, which shuffling puts together. Planes that compression does not take to a third
/// go as they are, in blocks of their own: a plane that shrinks by little has a symbol for nearly
/// every byte, and takes longer to inflate than to read. Of levels, 4 is the first whose streams are read
/// a quarter faster than those of 1, and are made no slower. `tests/bench/store.py` says what other ways
/// cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// How chunks are compressed.
    pub compression: Compression,
}

/// How chunks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Compression {
    /// Not at all: nearly twice the size, and nothing to decode.
    None,
    /// Shuffled, then deflated at a level from 1 to 9.
    Gzip(u8),
}

impl Default for Compression {
    fn default() -> Self {
        Self::Gzip(4)
    }
}

impl Compression {
    pub(super) fn filters(self) -> Vec<Filter> {
        match self {
            Self::None => Vec::new(),
            Self::Gzip(_) => vec![Filter::Shuffle, Filter::Deflate],
        }
    }

    /// A row's values as a chunk, and which filters were not applied, as HDF5 counts them.
    pub(super) fn chunk<T: Copy>(
        self,
        values: &[T],
        bytes_of: impl Fn(T) -> [u8; VALUE_BYTES],
    ) -> (Vec<u8>, u32) {
        let Self::Gzip(level) = self else {
            return (values.iter().flat_map(|value| bytes_of(*value)).collect(), 0);
        };
        let shuffled = shuffled(values, bytes_of);
        let packed = zlib(&shuffled, values.len(), Level::new(level.into()));
        // the second filter; HDF5 does the same with what does not shrink
        if packed.len() < shuffled.len() { (packed, 0) } else { (shuffled, 1 << 1) }
    }
}

/// A zlib stream in which each plane of `count` bytes has its own blocks, compressed where that takes
/// off two thirds. Planes of nearly nothing, as masks have, share theirs: what precedes a block takes
/// longer to read than such a plane.
fn zlib(planes: &[u8], count: usize, level: Level) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let packed = |plane: &[u8]| compressed(plane, level).filter(|b| b.len() < plane.len() / 3);
    let blocks: Vec<_> = planes.chunks(count.max(1)).map(|plane| (plane, packed(plane))).collect();
    let is_little = |(plane, b): &(&[u8], Option<Vec<u8>>)| {
        b.as_ref().is_some_and(|b| b.len() * 16 < plane.len())
    };
    let shared = if blocks.iter().all(is_little) { compressed(planes, level) } else { None };
    match shared {
        Some(block) => stream.extend(block),
        None => {
            for (plane, block) in blocks {
                match block {
                    Some(block) => stream.extend(block),
                    None => {
                        let parts = plane.chunks(STORED_MAX);
                        parts.for_each(|part| stored(part, false, &mut stream));
                    }
                }
            }
        }
    }
    stored(&[], true, &mut stream);
    stream.extend(adler32(planes).to_be_bytes());
    stream
}

/// Blocks of a deflate stream that end at a byte.
fn compressed(bytes: &[u8], level: Level) -> Option<Vec<u8>> {
    let mut blocks = Vec::with_capacity(bytes.len() + 128);
    let mut encoder = Compress::new(level, false);
    encoder.compress_vec(bytes, &mut blocks, FlushCompress::Sync).ok()?;
    // what had no room is longer than what it was
    let is_whole = encoder.total_in() == bytes.len() as u64 && blocks.ends_with(&FLUSHED);
    is_whole.then_some(blocks)
}

/// A block that is not compressed.
fn stored(bytes: &[u8], is_last: bool, stream: &mut Vec<u8>) {
    let length = bytes.len() as u16;
    stream.push(u8::from(is_last));
    stream.extend(length.to_le_bytes());
    stream.extend((!length).to_le_bytes());
    stream.extend_from_slice(bytes);
}

/// The checksum of zlib streams.
fn adler32(bytes: &[u8]) -> u32 {
    const BASE: u32 = 65_521;
    // so many sums fit into 32 bits
    let (a, b) = bytes.chunks(5552).fold((1, 0), |(a, b), part| {
        let sums = part.iter().fold((a, b), |(a, b), byte| {
            let a = a + u32::from(*byte);
            (a, b + a)
        });
        (sums.0 % BASE, sums.1 % BASE)
    });
    b << 16 | a
}

/// The first bytes of all values, then the second ones, and so on.
fn shuffled<T: Copy>(values: &[T], bytes_of: impl Fn(T) -> [u8; VALUE_BYTES]) -> Vec<u8> {
    let count = values.len();
    let mut bytes = vec![0; count * VALUE_BYTES];
    for (at, value) in values.iter().enumerate() {
        for (plane, byte) in bytes_of(*value).into_iter().enumerate() {
            bytes[plane * count + at] = byte;
        }
    }
    bytes
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Gzip(level) => write!(f, "gzip={level}"),
        }
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = |level: &str| level.parse().ok().filter(|level| (1..=9).contains(level));
        match text.split_once('=') {
            None if text == "none" => Some(Self::None),
            None if text == "gzip" => Some(Self::default()),
            Some(("gzip", of)) => level(of).map(Self::Gzip),
            _ => None,
        }
        .ok_or_else(|| {
            format!("'{text}' is no compression of a store: use gzip, gzip=LEVEL (1 to 9) or none")
        })
    }
}

impl From<Compression> for String {
    fn from(compression: Compression) -> Self {
        compression.to_string()
    }
}

impl TryFrom<String> for Compression {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_core::store::Chunk;

    #[test]
    fn chunks_are_read_as_they_were_written() {
        let smooth: Vec<f32> = (0..500).map(|i| i as f32 * 0.5).collect();
        let rough: Vec<f32> =
            (0..500u32).map(|i| f32::from_bits(i.wrapping_mul(2_654_435_761))).collect();
        for compression in [Compression::None, Compression::Gzip(1), Compression::Gzip(9)] {
            for values in [&smooth, &rough, &vec![]] {
                let (bytes, skipped) = compression.chunk(values, f32::to_le_bytes);
                let chunk = Chunk { address: 0, size_bytes: bytes.len() as u32, skipped };
                let filters = compression.filters();
                let read = chunk.values(&bytes, &filters, values.len(), u32::from_le_bytes);
                let bits: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
                assert_eq!(read.expect("values"), bits);
            }
        }
    }

    #[test]
    fn a_stream_is_what_any_zlib_reads() {
        let noise = |i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8;
        for count in [0usize, 1, 1000, 70_000] {
            let plain = |i: u32| if (i as usize) < count { noise(i) } else { (i / 999) as u8 };
            let planes: Vec<u8> = (0..4 * count as u32).map(plain).collect();
            let stream = zlib(&planes, count, Level::new(1));
            let mut read = Vec::new();
            std::io::copy(&mut flate2::read::ZlibDecoder::new(&stream[..]), &mut read)
                .expect("zlib");
            assert!(read == planes, "{count}");
            assert!(count < 1000 || stream.len() < planes.len() / 2, "{count}");
        }
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
        assert_eq!(adler32(&[0xff; 100_000]), 0x149A_302C);
    }

    #[test]
    fn compressions_are_spelled_as_they_are_read() {
        for text in ["none", "gzip=1", "gzip=9"] {
            assert_eq!(text.parse::<Compression>().expect(text).to_string(), text);
        }
        assert_eq!("gzip".parse(), Ok(Compression::Gzip(4)));
        for text in ["", "gzip=0", "gzip=10", "zstd", "gzip="] {
            assert!(text.parse::<Compression>().is_err(), "{text}");
        }
    }
}
