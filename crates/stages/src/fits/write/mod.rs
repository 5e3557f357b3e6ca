//! A small FITS writer: headers, and HDUs of which the data is given as pieces of bytes.
//!
//! It writes front to back and never seeks: an HDU's sums are taken from its pieces before its
//! header is written, so that whatever is larger than memory can be given as an iterator that
//! makes or repeats its pieces.

pub mod checksum;
mod compress;
mod table;

pub use compress::{Codec, compress_rows};
pub use table::{Cell, Column, Table};

use checksum::Sum;
use std::io::{self, Write};

/// Bytes in a block: every header and every data unit is padded to a multiple of it.
pub const BLOCK: usize = 2880;
const CARD: usize = 80;
/// Characters of a string value that fit one card.
const TEXT: usize = 68;

/// The type of an image's pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pixels {
    /// Bytes.
    U8,
    /// Signed integers.
    I32,
    /// Unsigned integers: stored as signed ones, from which `BZERO` was taken.
    U32,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
}

impl Pixels {
    fn bitpix(self) -> i64 {
        match self {
            Self::U8 => 8,
            Self::I32 | Self::U32 => 32,
            Self::F32 => -32,
            Self::F64 => -64,
        }
    }
}

/// The cards of a header, without `END`.
#[derive(Debug, Clone, Default)]
pub struct Header {
    cards: Vec<String>,
}

impl Header {
    /// The header of a primary HDU without data.
    #[must_use]
    pub fn primary() -> Self {
        let mut header = Self::default();
        header
            .flag("SIMPLE", true, "conforms to FITS standard")
            .int("BITPIX", 8, "array data type")
            .int("NAXIS", 0, "number of array dimensions")
            .flag("EXTEND", true, "");
        header
    }

    /// The header of an image extension; `axes` are given fastest first, as FITS counts them.
    #[must_use]
    pub fn image(name: &str, pixels: Pixels, axes: &[usize]) -> Self {
        let mut header = Self::default();
        header
            .text("XTENSION", "IMAGE", "Image extension")
            .int("BITPIX", pixels.bitpix(), "array data type")
            .int("NAXIS", axes.len() as i64, "number of array dimensions");
        for (i, axis) in axes.iter().enumerate() {
            header.int(&format!("NAXIS{}", i + 1), *axis as i64, "");
        }
        header.int("PCOUNT", 0, "number of parameters").int("GCOUNT", 1, "number of groups");
        if pixels == Pixels::U32 {
            header.int("BSCALE", 1, "").int("BZERO", 1 << 31, "");
        }
        header.text("EXTNAME", name, "extension name");
        header
    }

    /// Adds a string; one that is too long for a card goes on in `CONTINUE` cards.
    pub fn text(&mut self, key: &str, value: &str, comment: &str) -> &mut Self {
        let value = value.replace('\'', "''");
        if value.len() <= TEXT {
            return self.card(key, &format!("{:<20}", format!("'{value:<8}'")), comment);
        }
        let letters: Vec<char> = value.chars().collect();
        let pieces: Vec<String> = letters.chunks(TEXT - 1).map(|c| c.iter().collect()).collect();
        for (i, piece) in pieces.iter().enumerate() {
            let more = if i + 1 < pieces.len() { "&" } else { "" };
            match i {
                0 => self.card(key, &format!("'{piece}{more}'"), ""),
                _ => self.push(format!("CONTINUE  '{piece}{more}'")),
            };
        }
        self
    }

    /// Adds an integer.
    pub fn int(&mut self, key: &str, value: i64, comment: &str) -> &mut Self {
        self.card(key, &format!("{value:>20}"), comment)
    }

    /// Adds a real number.
    pub fn real(&mut self, key: &str, value: f64, comment: &str) -> &mut Self {
        let text = format!("{value:?}").to_uppercase();
        self.card(key, &format!("{text:>20}"), comment)
    }

    /// Adds a logical.
    pub fn flag(&mut self, key: &str, value: bool, comment: &str) -> &mut Self {
        self.card(key, &format!("{:>20}", if value { "T" } else { "F" }), comment)
    }

    fn card(&mut self, key: &str, value: &str, comment: &str) -> &mut Self {
        let comment = if comment.is_empty() { String::new() } else { format!(" / {comment}") };
        self.push(format!("{key:<8}= {value}{comment}"))
    }

    fn push(&mut self, mut card: String) -> &mut Self {
        card.truncate(CARD);
        self.cards.push(format!("{card:<CARD$}"));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.cards.concat().into_bytes();
        bytes.extend_from_slice(format!("{:<CARD$}", "END").as_bytes());
        bytes.resize(bytes.len().next_multiple_of(BLOCK), b' ');
        bytes
    }

    /// Adds `CHECKSUM` and `DATASUM` for data of this sum.
    fn seal(&mut self, data: Sum) {
        let mut open = self.clone();
        let zeros = "0".repeat(16);
        let sums = |header: &mut Self, checksum: &str| {
            header.text("CHECKSUM", checksum, "HDU checksum");
            header.text("DATASUM", &data.value().to_string(), "data unit checksum");
        };
        sums(&mut open, &zeros);
        let mut whole = data;
        let mut head = Sum::default();
        head.add(&open.bytes());
        whole.add_sum(head);
        sums(self, &checksum::encode(whole.value()));
    }
}

/// A FITS file that is being written, one HDU after the other.
#[derive(Debug)]
pub struct FitsWriter<W> {
    out: W,
    checksums: bool,
}

impl<W: Write> FitsWriter<W> {
    /// Starts a file; `checksums` says whether HDUs get `CHECKSUM` and `DATASUM` cards.
    pub fn new(out: W, checksums: bool) -> Self {
        Self { out, checksums }
    }

    /// Appends an HDU whose data unit is the concatenation of `pieces`, big-endian.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn append<'a, P>(&mut self, mut header: Header, pieces: P) -> io::Result<()>
    where
        P: Iterator<Item = &'a [u8]> + Clone,
    {
        if self.checksums {
            let mut sum = Sum::default();
            pieces.clone().for_each(|piece| sum.add(piece));
            header.seal(sum);
        }
        self.out.write_all(&header.bytes())?;
        let mut size_bytes = 0;
        for piece in pieces {
            self.out.write_all(piece)?;
            size_bytes += piece.len();
        }
        let padding = [0u8; BLOCK];
        self.out.write_all(&padding[..size_bytes.next_multiple_of(BLOCK) - size_bytes])
    }

    /// Appends a binary table.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn append_table(&mut self, table: &Table) -> io::Result<()> {
        self.append(table.header(), [table.rows().as_slice()].into_iter())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Those of the sink's last flush.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hdus(bytes: &[u8]) -> u32 {
        let mut sum = Sum::default();
        sum.add(bytes);
        sum.value()
    }

    #[test]
    fn a_sealed_hdu_sums_to_minus_zero() {
        let mut file = FitsWriter::new(Vec::new(), true);
        let data: Vec<u8> = (0..4004u32).map(|i| (i % 251) as u8).collect();
        let header = Header::image("X", Pixels::U8, &[4004]);
        file.append(header, data.chunks(1001)).expect("memory takes it");
        let bytes = file.finish().expect("memory takes it");
        assert_eq!(bytes.len(), 3 * BLOCK);
        assert_eq!(hdus(&bytes), u32::MAX);
    }

    #[test]
    fn long_strings_continue() {
        let mut header = Header::primary();
        let long = "it's ".repeat(30);
        header.text("LONG", long.trim(), "");
        let bytes = header.bytes();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("CONTINUE  '").count(), 2);
        assert!(text.contains("LONG    = 'it''s"));
        assert_eq!(bytes.len(), BLOCK);
    }
}
