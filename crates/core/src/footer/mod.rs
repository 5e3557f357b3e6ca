//! What a Parquet file says of itself at its end: rows, columns, bounds, provenance.
//!
//! A footer is read with one `pread` of the file's tail (two where it is long) and decoded here,
//! not by the parquet crate: the registry needs only the bounds, thousands of files share one
//! schema that is decoded once ([`Schemas`]), and a damaged footer must end in an error, never in
//! a panic or in an allocation of whatever size it claims.

mod decode;
mod element;
mod packed;
mod schema;
mod store;
pub(crate) mod thrift;
pub(crate) mod trim;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub use packed::{Ends, Packed};
pub use schema::{Column, Kind, Schema, Schemas};

use crate::metadata;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes read from the end of a file at first: of the first file, enough for most footers, of which
/// schema and VOTable are the greater part; of others, as many as the footers before them took, or a
/// few pages.
const TAIL_BYTES: Range<u64> = 16 * 1024..128 * 1024;
/// Length of the footer, and magic, at the very end.
const TRAILER_BYTES: usize = 8;
const MAGIC: &[u8; 4] = b"PAR1";
const MAGIC_ENCRYPTED: &[u8; 4] = b"PARE";

/// The footer of a Parquet file.
#[derive(Debug, Clone)]
pub struct Footer {
    /// Columns and where their bounds lie.
    pub schema: Arc<Schema>,
    /// Row groups.
    pub num_row_groups: usize,
    /// Bounds of the whole file.
    pub bounds: Packed,
    /// Bounds of each row group, in order; none where there is only one.
    pub groups: Vec<Packed>,
    /// Where the TARGETIDs of each row group are, as far as that is stated; none where there are none, or
    /// no 64-bit integers.
    pub keys: Vec<Chunk>,
    /// Program that wrote the file, as it calls itself.
    pub writer: Option<String>,
    /// Key-value metadata whose keys start with `bifrost.`.
    pub key_values: Vec<(String, String)>,
    /// First 16 bytes of BLAKE3 of the footer.
    pub hash: [u8; 16],
}

/// A column of a row group, in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where its pages lie; within the file.
    pub bytes: Range<u64>,
    /// Values, NULLs among them.
    pub values: usize,
    /// How pages are compressed, by the number that the format gives it.
    pub codec: i32,
    /// Whether values may be NULL.
    pub nullable: bool,
}

/// Why a file's footer cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Zero bytes.
    #[error("is empty: whoever wrote it did not finish; write it again")]
    Empty,
    /// Neither the magic of Parquet at its end nor at its start.
    #[error(
        "is not Parquet: it does not end in PAR1; move it out of the lake or give it another name"
    )]
    NotParquet,
    /// It starts as Parquet does but does not end so.
    #[error("is cut short: it starts as Parquet but does not end so; copy or write it again")]
    CutShort,
    /// The footer is said to be longer than the file.
    #[error(
        "is cut short: its footer takes {footer_bytes} bytes, the file has {file_bytes}; copy or write it again"
    )]
    FooterBeyondFile {
        /// Stated length.
        footer_bytes: u32,
        /// Length of the file.
        file_bytes: u64,
    },
    /// The footer is encrypted.
    #[error("is encrypted: decrypt it, or keep it outside of the lake")]
    Encrypted,
    /// The footer's encoding is broken.
    #[error("has a damaged footer ({0}); copy or write it again")]
    Encoding(#[from] thrift::Error),
    /// The footer can be decoded but makes no sense.
    #[error("has a damaged footer ({0}); copy or write it again")]
    Nonsense(&'static str),
    /// The system refused.
    #[error("cannot be read ({0}); check permissions and the disk")]
    Io(#[from] io::Error),
}

impl Footer {
    /// Reads the footer of an open file of `size_bytes`.
    ///
    /// # Errors
    /// [`Error`] says what is wrong with the file; nothing else depends on it.
    pub fn read(file: &File, size_bytes: u64, schemas: &Schemas) -> Result<Self, Error> {
        Tail::default().footer(file, size_bytes, schemas)
    }

    /// Whether this program wrote the file: only then its `bifrost.` metadata describe what is in
    /// it (tools that rewrite files keep keys of which they know nothing), and only then its
    /// floating-point columns are known to hold no NaN.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        let writer = self.writer.as_deref().unwrap_or_default();
        (writer.starts_with("parquet-rs") || writer.starts_with("bifrost"))
            && self.value(metadata::PRODUCT).is_some()
    }

    /// A value of the `bifrost.` metadata.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.key_values.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}

/// The end of a file, with the whole footer in it: of one file after the other, in the same memory.
#[derive(Debug)]
pub struct Tail {
    /// As long as the longest end so far.
    bytes: Vec<u8>,
    /// What of the file the first of them are.
    of_file: Range<u64>,
    /// How many bytes to read at first.
    usual: u64,
}

impl Default for Tail {
    fn default() -> Self {
        Self { bytes: Vec::new(), of_file: 0..0, usual: TAIL_BYTES.end }
    }
}

impl Tail {
    /// Reads the footer of an open file of `size_bytes`.
    ///
    /// # Errors
    /// As [`Footer::read`].
    pub fn footer(
        &mut self,
        file: &File,
        size_bytes: u64,
        schemas: &Schemas,
    ) -> Result<Footer, Error> {
        self.of_file = 0..0;
        if size_bytes == 0 {
            return Err(Error::Empty);
        }
        self.read(file, size_bytes.saturating_sub(self.usual)..size_bytes)?;
        let footer_bytes = footer_length(file, self.bytes())?;
        let whole_bytes = u64::from(footer_bytes) + TRAILER_BYTES as u64;
        if whole_bytes + MAGIC.len() as u64 > size_bytes {
            return Err(Error::FooterBeyondFile { footer_bytes, file_bytes: size_bytes });
        }
        // files of a lake are much alike: those of a product, one after the other
        self.usual = whole_bytes.max(self.usual - self.usual / 8).max(TAIL_BYTES.start);
        let data_bytes = size_bytes - whole_bytes;
        if data_bytes < self.of_file.start {
            self.read(file, data_bytes..size_bytes)?;
        }
        let end = size_bytes - TRAILER_BYTES as u64;
        let footer = self.part(&(data_bytes..end)).ok_or(Error::CutShort)?;
        decode::footer(footer, data_bytes, schemas)
    }

    fn read(&mut self, file: &File, part: Range<u64>) -> io::Result<()> {
        let length = usize::try_from(part.end - part.start).map_err(io::Error::other)?;
        if self.bytes.len() < length {
            self.bytes.resize(length, 0);
        }
        self.of_file = 0..0;
        file.read_exact_at(&mut self.bytes[..length], part.start)?;
        self.of_file = part;
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        self.part(&self.of_file).unwrap_or_default()
    }

    /// Bytes of the file whose footer was read last; none where not all of them were.
    pub(crate) fn part(&self, part: &Range<u64>) -> Option<&[u8]> {
        let place = |at: u64| usize::try_from(at.checked_sub(self.of_file.start)?).ok();
        let range = place(part.start)?..place(part.end)?;
        (part.end <= self.of_file.end).then(|| self.bytes.get(range)).flatten()
    }
}

fn footer_length(file: &File, tail: &[u8]) -> Result<u32, Error> {
    let Some((rest, magic)) = tail.split_last_chunk::<4>() else {
        return Err(Error::NotParquet);
    };
    match magic {
        MAGIC_ENCRYPTED => return Err(Error::Encrypted),
        MAGIC => {}
        _ => return Err(without_magic(file)),
    }
    let (_, length) = rest.split_last_chunk::<4>().ok_or(Error::CutShort)?;
    Ok(u32::from_le_bytes(*length))
}

/// Tells a file that was cut short from one that never was Parquet.
fn without_magic(file: &File) -> Error {
    let mut head = [0; 4];
    match file.read_exact_at(&mut head, 0) {
        Ok(()) if head == *MAGIC || head == *MAGIC_ENCRYPTED => Error::CutShort,
        _ => Error::NotParquet,
    }
}
