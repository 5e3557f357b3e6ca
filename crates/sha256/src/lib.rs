//! SHA-256 (FIPS 180-4) of many streams at once.
//!
//! One stream's blocks depend on each other: its instructions wait for each other, whether they are those
//! for SHA or not. Several streams do not wait, and are hashed side by side:
//!
//! ```text
//!                                             GB/s and core (Xeon Sapphire Rapids)
//! AVX-512, eight streams in vector registers  2.15
//! SHA instructions, two streams               1.85
//! SHA instructions, one stream                1.5
//! AVX2, eight streams                         four to five times one stream without SHA instructions
//! ```
//!
//! Where there are SHA instructions they are taken: eight streams that are to go together wait for each other
//! longer than their registers save.
//!
//! ```
//! use bifrost_sha256::{Sha256, update_all};
//!
//! let (mut one, mut two) = (Sha256::new(), Sha256::new());
//! update_all(&mut [(&mut one, b"abc"), (&mut two, b"")]);
//! assert!(one.hex().starts_with("ba7816bf"));
//! assert!(two.hex().starts_with("e3b0c442"));
//! ```

mod lanes;

use lanes::Kernel;
use sha2::block_api::compress256;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Streams that are hashed side by side in vector registers.
const LANES: usize = 8;

type Block = [u8; 64];
type State = [u32; 8];

/// First 32 bits of the fractional parts of the square roots of the first eight primes.
const START: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// A digest under way.
#[derive(Clone)]
pub struct Sha256 {
    state: State,
    /// Bytes that do not fill a block yet.
    tail: Block,
    /// Bytes so far.
    length: u64,
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({} bytes)", self.length)
    }
}

impl Sha256 {
    /// Of nothing so far.
    #[must_use]
    pub fn new() -> Self {
        Self { state: START, tail: [0; 64], length: 0 }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let whole = self.take_tail(bytes);
        compress256(&mut self.state, whole);
    }

    /// The digest of what has been added.
    #[must_use]
    pub fn finish(mut self) -> [u8; 32] {
        let bits = (self.length * 8).to_be_bytes();
        let zeros = (119 - self.length % 64) % 64;
        let mut end = vec![0x80];
        end.resize(1 + zeros as usize, 0);
        end.extend_from_slice(&bits);
        self.update(&end);
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }

    /// The digest of what has been added, as 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn hex(self) -> String {
        self.finish().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Completes the block that was begun, keeps what does not fill one, gives the whole ones
    /// between.
    fn take_tail<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [Block] {
        let begun = (self.length % 64) as usize;
        self.length += bytes.len() as u64;
        if begun > 0 {
            let (more, rest) = bytes.split_at(bytes.len().min(64 - begun));
            self.tail[begun..begun + more.len()].copy_from_slice(more);
            if begun + more.len() < 64 {
                return &[];
            }
            compress256(&mut self.state, &[self.tail]);
            bytes = rest;
        }
        let (whole, rest) = bytes.as_chunks();
        self.tail[..rest.len()].copy_from_slice(rest);
        whole
    }
}

/// How many streams this processor hashes side by side; 1 where they follow each other.
#[must_use]
pub fn lanes() -> usize {
    Kernel::best().map_or(1, Kernel::lanes)
}

/// Adds bytes to many streams, side by side. It is fastest with [`lanes`] of them, or a multiple,
/// and as many bytes for each.
pub fn update_all(streams: &mut [(&mut Sha256, &[u8])]) {
    update_with(Kernel::best(), streams);
}

fn update_with(kernel: Option<Kernel>, streams: &mut [(&mut Sha256, &[u8])]) {
    let mut work: Vec<(&mut State, &[Block])> = streams
        .iter_mut()
        .map(|(stream, bytes)| {
            let whole = stream.take_tail(bytes);
            (&mut stream.state, whole)
        })
        .collect();
    if let Some(kernel) = kernel {
        loop {
            // the longest go together, so that lanes stay full
            work.retain(|(_, blocks)| !blocks.is_empty());
            work.sort_by_key(|(_, blocks)| std::cmp::Reverse(blocks.len()));
            if work.len() < 2 {
                break;
            }
            let together = work.len().min(kernel.lanes());
            kernel.compress(&mut work[..together]);
        }
    }
    for (state, blocks) in work {
        compress256(state, blocks);
    }
}

/// SHA-256 of a file, hex.
///
/// # Errors
/// What the file system refuses.
pub fn file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(digest.hex()),
            Ok(count) => digest.update(&buffer[..count]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use sha2::Digest;

    fn known(bytes: &[u8]) -> String {
        sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn digests_of_all_lengths_are_those_of_the_standard() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(known(b"abc"), abc);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for length in 0..300 {
            let bytes: Vec<u8> = (0..length).map(|_| random.random()).collect();
            let mut digest = Sha256::new();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(random.random_range(1..=rest.len()));
                digest.update(piece);
                rest = more;
            }
            assert_eq!(digest.hex(), known(&bytes), "{length} bytes");
        }
    }

    #[test]
    fn streams_side_by_side_do_not_touch_each_other() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let kernels = Kernel::all();
        for kernel in kernels.into_iter().map(Some).chain([None]) {
            for count in 0..20 {
                let mut wholes = vec![Vec::new(); count];
                let mut digests = vec![Sha256::new(); count];
                for _ in 0..4 {
                    let pieces: Vec<Vec<u8>> = (0..count)
                        .map(|_| {
                            (0..random.random_range(0..2000)).map(|_| random.random()).collect()
                        })
                        .collect();
                    let mut streams: Vec<_> =
                        digests.iter_mut().zip(pieces.iter().map(Vec::as_slice)).collect();
                    update_with(kernel, &mut streams);
                    for (whole, piece) in wholes.iter_mut().zip(pieces) {
                        whole.extend(piece);
                    }
                }
                for (digest, whole) in digests.into_iter().zip(wholes) {
                    assert_eq!(digest.hex(), known(&whole), "{kernel:?}, {count} streams");
                }
            }
        }
    }

    #[test]
    fn a_file_has_the_digest_of_its_bytes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
        let bytes = std::fs::read(&path).expect("this file");
        assert_eq!(file(&path).expect("read"), known(&bytes));
        assert!(file(Path::new("nowhere")).is_err());
    }
}
