//! The header before each page.

use super::Fault;
use crate::footer::thrift::{Kind as Wire, Reader};

/// What a header says of its page. Nothing of it is believed yet but that the bytes are there.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Bytes of the header itself.
    pub(super) length: usize,
    pub(super) packed_bytes: usize,
    pub(super) plain_bytes: usize,
    /// Levels of a data page, values of a dictionary.
    pub(super) values: usize,
    pub(super) encoding: Encoding,
    /// Checksum of the page's bytes in the file.
    pub(super) crc: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Levels and values are compressed together.
    Data,
    /// Levels are before the values, not compressed.
    DataV2 {
        repetition_bytes: usize,
        definition_bytes: usize,
        is_compressed: bool,
    },
    Dictionary,
}

/// How the values of a page are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Dictionary,
    Split,
}

const PLAIN: i64 = 0;
const PLAIN_DICTIONARY: i64 = 2;
const RLE: i64 = 3;
const RLE_DICTIONARY: i64 = 8;
const BYTE_STREAM_SPLIT: i64 = 9;

/// What the inner structs of the three kinds of page have.
#[derive(Default)]
struct Inner {
    values: Option<i64>,
    encoding: Option<i64>,
    /// Encoding of levels, if they are not those of today.
    other_levels: bool,
    definition_bytes: i64,
    repetition_bytes: i64,
    is_plain: bool,
}

impl Header {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let (mut reader, mut id) = (Reader::new(bytes), 0);
        let (mut code, mut plain, mut packed, mut inner, mut crc) = (None, None, None, None, None);
        while let Some((field, wire)) = reader.field(&mut id)? {
            match (field, wire) {
                (1, Wire::Int) => code = Some(reader.int()?),
                (2, Wire::Int) => plain = Some(reader.int()?),
                (3, Wire::Int) => packed = Some(reader.int()?),
                (4, Wire::Int) => crc = Some(reader.int()? as u32),
                (5 | 7 | 8, Wire::Struct) => {
                    inner = Some((field, Inner::read(&mut reader, field)?))
                }
                _ => reader.skip(wire)?,
            }
        }
        let length = bytes.len() - reader.left();
        let stated = |number: Option<i64>| size(number.ok_or(Fault::Header)?);
        let (field, inner) = inner.ok_or(Fault::Header)?;
        let kind = match (code, field) {
            (Some(0), 5) if !inner.other_levels => Kind::Data,
            (Some(2), 7) => Kind::Dictionary,
            (Some(3), 8) => Kind::DataV2 {
                repetition_bytes: size(inner.repetition_bytes)?,
                definition_bytes: size(inner.definition_bytes)?,
                is_compressed: !inner.is_plain,
            },
            _ => return Err(Fault::Header),
        };
        let encoding = match inner.encoding {
            // what is called that was the dictionary's own in the format's first version
            Some(PLAIN | PLAIN_DICTIONARY) if kind == Kind::Dictionary => Encoding::Plain,
            Some(PLAIN) => Encoding::Plain,
            Some(PLAIN_DICTIONARY | RLE_DICTIONARY) => Encoding::Dictionary,
            Some(BYTE_STREAM_SPLIT) => Encoding::Split,
            _ => return Err(Fault::Encoding),
        };
        let (packed_bytes, plain_bytes) = (stated(packed)?, stated(plain)?);
        let values = stated(inner.values)?;
        Ok(Self { kind, length, packed_bytes, plain_bytes, values, encoding, crc })
    }

    /// Whether a page's bytes are those that were written, as far as that can be told.
    pub(super) fn agrees(&self, body: &[u8]) -> bool {
        self.crc.is_none_or(|crc| crc32fast::hash(body) == crc)
    }
}

impl Inner {
    fn read(reader: &mut Reader<'_>, of: i16) -> Result<Self, Fault> {
        let (mut inner, mut id) = (Self::default(), 0);
        while let Some((field, wire)) = reader.field(&mut id)? {
            match (of, field, wire) {
                (_, 1, Wire::Int) => inner.values = Some(reader.int()?),
                (5 | 7, 2, Wire::Int) | (8, 4, Wire::Int) => inner.encoding = Some(reader.int()?),
                (5, 3 | 4, Wire::Int) => inner.other_levels |= reader.int()? != RLE,
                (8, 5, Wire::Int) => inner.definition_bytes = reader.int()?,
                (8, 6, Wire::Int) => inner.repetition_bytes = reader.int()?,
                (8, 7, Wire::False) => inner.is_plain = true,
                _ => reader.skip(wire)?,
            }
        }
        Ok(inner)
    }
}

fn size(number: i64) -> Result<usize, Fault> {
    i32::try_from(number).ok().and_then(|n| usize::try_from(n).ok()).ok_or(Fault::Header)
}
