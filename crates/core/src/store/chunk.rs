//! A row's values of one array, as HDF5's filters leave them: decoded here, by any number of threads.

use super::{Error, VALUE_BYTES};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use zlib_rs::{InflateConfig, ReturnCode, decompress_slice};

/// One of HDF5's filters. Those of a file are applied to each chunk in their order, and undone in the
/// other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The first bytes of all values, then the second ones, and so on.
    Shuffle,
    /// A zlib stream.
    Deflate,
}

/// Where a chunk lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Its first byte.
    pub address: u64,
    /// How many there are.
    pub size_bytes: u32,
    /// Filters that were not applied to it: bit n is that of the nth.
    pub skipped: u32,
}

impl Chunk {
    pub(super) const BYTES: usize = 16;

    pub(super) fn put(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.address.to_le_bytes());
        bytes.extend(self.size_bytes.to_le_bytes());
        bytes.extend(self.skipped.to_le_bytes());
    }

    pub(super) fn of(bytes: &[u8; Self::BYTES]) -> Self {
        let number = u128::from_le_bytes(*bytes);
        Self {
            address: number as u64,
            size_bytes: (number >> 64) as u32,
            skipped: (number >> 96) as u32,
        }
    }

    /// The byte after its last.
    #[must_use]
    pub fn end(self) -> u64 {
        self.address.saturating_add(self.size_bytes.into())
    }

    /// Its values, of which there are `count`, from its bytes in the file.
    ///
    /// # Errors
    /// [`Error::Damaged`] where they do not come out.
    pub fn values<T>(
        self,
        bytes: &[u8],
        filters: &[Filter],
        count: usize,
        value: impl Fn([u8; VALUE_BYTES]) -> T,
    ) -> Result<Vec<T>, Error> {
        let size = count * VALUE_BYTES;
        let mut bytes = Cow::Borrowed(bytes);
        let mut is_shuffled = false;
        for (place, filter) in filters.iter().enumerate().rev() {
            let is_applied =
                self.skipped.checked_shr(place as u32).is_none_or(|bits| bits & 1 == 0);
            match filter {
                Filter::Deflate if is_applied => bytes = Cow::Owned(inflated(&bytes, size)?),
                Filter::Shuffle => is_shuffled = is_applied,
                Filter::Deflate => {}
            }
        }
        if bytes.len() != size {
            let words = format!("a chunk holds {} bytes, not {size}", bytes.len());
            return Err(Error::Damaged(words));
        }
        Ok(if is_shuffled { unshuffled(&bytes, count, value) } else { plain(&bytes, value) })
    }
}

fn inflated(bytes: &[u8], size: usize) -> Result<Vec<u8>, Error> {
    let mut made = vec![0; size];
    let (held, outcome) = decompress_slice(&mut made, bytes, InflateConfig::default());
    match (outcome, held.len()) {
        (ReturnCode::Ok, held) if held == size => Ok(made),
        (ReturnCode::Ok, _) => Err(Error::damaged("a chunk holds less than its row")),
        (ReturnCode::BufError, _) => {
            Err(Error::damaged("a chunk holds more than its row, or ends early"))
        }
        (outcome, _) => Err(Error::Damaged(format!("a chunk cannot be decompressed: {outcome:?}"))),
    }
}

fn plain<T>(bytes: &[u8], value: impl Fn([u8; VALUE_BYTES]) -> T) -> Vec<T> {
    let (values, _) = bytes.as_chunks::<VALUE_BYTES>();
    values.iter().map(|bytes| value(*bytes)).collect()
}

/// `bytes` are four times `count`. In two steps, halves of values first: compilers make twice as quick
/// a loop of these.
fn unshuffled<T>(bytes: &[u8], count: usize, value: impl Fn([u8; VALUE_BYTES]) -> T) -> Vec<T> {
    let (low, high) = bytes.split_at(2 * count);
    let halves = |planes: &[u8]| -> Vec<u16> {
        let (low, high) = planes.split_at(count);
        low.iter().zip(high).map(|(low, high)| u16::from_le_bytes([*low, *high])).collect()
    };
    let (low, high) = (halves(low), halves(high));
    let whole = |(low, high): (&u16, &u16)| u32::from(*low) | u32::from(*high) << 16;
    low.iter().zip(&high).map(|pair| value(whole(pair).to_le_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::ZlibEncoder};
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::io::Write;

    const BOTH: [Filter; 2] = [Filter::Shuffle, Filter::Deflate];

    fn bytes() -> Vec<u8> {
        (0..1000u32).flat_map(|i| (i as f32).sin().to_le_bytes()).collect()
    }

    fn shuffled(bytes: &[u8]) -> Vec<u8> {
        (0..4).flat_map(|plane| bytes.iter().skip(plane).step_by(4).copied()).collect()
    }

    fn deflated(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut stream = ZlibEncoder::new(Vec::new(), Compression::new(level));
        stream.write_all(bytes).expect("written");
        stream.finish().expect("a stream")
    }

    fn compress_to_vec(bytes: &[u8]) -> Vec<u8> {
        deflated(bytes, 4)
    }

    fn values(bytes: &[u8], skipped: u32) -> Result<Vec<f32>, Error> {
        let chunk = Chunk { address: 0, size_bytes: bytes.len() as u32, skipped };
        chunk.values(bytes, &BOTH, 1000, f32::from_le_bytes)
    }

    #[test]
    fn values_come_out_whatever_filters_were_applied() {
        let expected: Vec<f32> = (0..1000u32).map(|i| (i as f32).sin()).collect();
        let (plain, mixed) = (bytes(), shuffled(&bytes()));
        for (bytes, skipped) in [
            (compress_to_vec(&mixed), 0),
            (compress_to_vec(&plain), 1),
            (mixed.clone(), 2),
            (plain.clone(), 3),
        ] {
            assert_eq!(values(&bytes, skipped).expect("values"), expected, "skipped {skipped}");
        }
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let good = compress_to_vec(&shuffled(&bytes()));
        let mut wrong = 0;
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x55;
            wrong += usize::from(values(&bytes, 0).is_err());
            assert!(values(&good[..at], 0).is_err(), "cut at {at}");
        }
        assert!(wrong > good.len() * 99 / 100, "{wrong} of {}", good.len());
        let (more, less) = (vec![0; 4004], vec![0; 3996]);
        assert!(values(&compress_to_vec(&more), 0).is_err());
        assert!(values(&compress_to_vec(&less), 0).is_err());
        assert!(values(&less, 3).is_err() && values(&[], 0).is_err());
    }

    #[test]
    fn what_any_zlib_wrote_is_read() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        for turn in 0..300 {
            let size = 4 * random.random_range(1..20_000);
            // from runs over a few letters to noise
            let letters = [1u16, 2, 5, 40, 256][turn % 5];
            let run = [1, 3, 60, 3000][turn % 4];
            let mut plain = Vec::new();
            while plain.len() < size {
                let letter = (random.random_range(0..letters) * 256 / letters) as u8;
                plain.extend(vec![letter; random.random_range(1..=run)]);
            }
            plain.truncate(size);
            let stream = deflated(&plain, turn as u32 % 10);
            assert!(inflated(&stream, size).expect("bytes") == plain, "turn {turn}");
            assert!(inflated(&stream, size - 1).is_err() && inflated(&stream, size + 1).is_err());
        }
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic() {
        let mut random = ChaCha8Rng::seed_from_u64(6);
        let good = deflated(&shuffled(&bytes()), 9);
        let mut read = 0;
        for turn in 0..20_000 {
            let mut stream = good.clone();
            if turn % 2 == 0 {
                // a header, and whatever
                stream = vec![0; random.random_range(0..400)];
                random.fill_bytes(&mut stream);
                stream.splice(..0, [0x78, 0x9c]);
            } else {
                for _ in 0..random.random_range(1..5) {
                    let at = random.random_range(0..stream.len());
                    stream[at] = random.random();
                }
                stream.truncate(random.random_range(0..=2 * stream.len()));
            }
            read += usize::from(inflated(&stream, 4000).is_ok_and(|_| stream != good));
        }
        assert_eq!(read, 0);
    }

    #[test]
    fn places_of_chunks_are_kept() {
        let chunk = Chunk { address: 1 << 40 | 7, size_bytes: 31_712, skipped: 2 };
        let mut bytes = Vec::new();
        chunk.put(&mut bytes);
        let bytes: [u8; Chunk::BYTES] = bytes.try_into().expect("16 bytes");
        assert_eq!((Chunk::of(&bytes), chunk.end()), (chunk, (1 << 40) + 7 + 31_712));
    }
}
