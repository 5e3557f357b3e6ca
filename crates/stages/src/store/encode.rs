//! Rows of arrays as the chunks of a store.

use bifrost_core::store::{Filter, VALUE_BYTES};
use flate2::Compression as Level;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

/// How arrays are stored.
///
/// A chunk is a row: whoever wants one spectrum reads and decodes nothing else. Shuffled and
/// deflated, which every HDF5 library undoes without a plugin; the table of `tests/bench/store.py`
/// says what other ways cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// How chunks are compressed.
    pub compression: Compression,
}

/// How chunks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Compression {
    /// Not at all: twice the size, and nothing to decode.
    None,
    /// Shuffled, then deflated at a level from 1 to 9.
    Gzip(u8),
}

impl Default for Compression {
    fn default() -> Self {
        Self::Gzip(1)
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
    ) -> io::Result<(Vec<u8>, u32)> {
        let Self::Gzip(level) = self else {
            return Ok((values.iter().flat_map(|value| bytes_of(*value)).collect(), 0));
        };
        let shuffled = shuffled(values, bytes_of);
        let packed = Vec::with_capacity(shuffled.len() * 3 / 4);
        let mut encoder = ZlibEncoder::new(packed, Level::new(level.into()));
        encoder.write_all(&shuffled)?;
        let packed = encoder.finish()?;
        // the second filter; HDF5 does the same with what does not shrink
        Ok(if packed.len() < shuffled.len() { (packed, 0) } else { (shuffled, 1 << 1) })
    }
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
                let (bytes, skipped) = compression.chunk(values, f32::to_le_bytes).expect("bytes");
                let chunk = Chunk { address: 0, size_bytes: bytes.len() as u32, skipped };
                let filters = compression.filters();
                let read = chunk.values(&bytes, &filters, values.len(), u32::from_le_bytes);
                let bits: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
                assert_eq!(read.expect("values"), bits);
            }
        }
    }

    #[test]
    fn compressions_are_spelled_as_they_are_read() {
        for text in ["none", "gzip=1", "gzip=9"] {
            assert_eq!(text.parse::<Compression>().expect(text).to_string(), text);
        }
        assert_eq!("gzip".parse(), Ok(Compression::Gzip(1)));
        for text in ["", "gzip=0", "gzip=10", "zstd", "gzip="] {
            assert!(text.parse::<Compression>().is_err(), "{text}");
        }
    }
}
