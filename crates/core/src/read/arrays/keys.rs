//! A column of 64-bit integers, whole: the TARGETIDs, whose order products of a tile share.

use super::header::{Header, Kind};
use super::hybrid::{Run, Runs, places};
use super::scratch::Scratch;
use super::values::{Values, Word};
use super::{Fault, PAGE_BYTES, Written};
use crate::footer::{Chunk, Tail};
use parquet::basic::{Compression, ZstdLevel};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// A column of a row group that takes more is left to the parquet crate, which needs less room for it.
const CHUNK_BYTES: u64 = 64 << 20;
/// So are pages of more values.
const VALUES: usize = 1 << 22;

/// Calls `each` with the values of a column of a row group, page by page; `None` where they cannot be
/// read here or one is NULL. It may have been called before that is known.
pub(crate) fn each(
    file: &File,
    tail: &Tail,
    chunk: &Chunk,
    each: &mut impl FnMut(&[u64]),
) -> Option<()> {
    let mut scratch = Scratch::take();
    let read = read(file, tail, chunk, &mut scratch, each);
    scratch.give_back();
    read.ok()
}

fn read(
    file: &File,
    tail: &Tail,
    chunk: &Chunk,
    scratch: &mut Scratch,
    each: &mut impl FnMut(&[u64]),
) -> Result<(), Fault> {
    let codec = match chunk.codec {
        0 => Compression::UNCOMPRESSED,
        1 => Compression::SNAPPY,
        6 => Compression::ZSTD(ZstdLevel::default()),
        _ => return Err(Fault::Encoding),
    };
    let bytes = chunk.bytes.end.saturating_sub(chunk.bytes.start);
    if bytes > CHUNK_BYTES {
        return Err(Fault::Long);
    }
    scratch.packed.resize(usize::try_from(bytes).map_err(|_| Fault::Long)?, 0);
    match tail.part(&chunk.bytes) {
        Some(read) => scratch.packed.copy_from_slice(read),
        None => file.read_exact_at(&mut scratch.packed, chunk.bytes.start).map_err(Fault::Fetch)?,
    }
    let (mut at, mut left) = (0, chunk.values);
    let (mut dictionary, mut values) = (Vec::new(), Vec::new());
    while left > 0 {
        let header = Header::read(scratch.packed.get(at..).ok_or(Fault::End)?)?;
        let body = at + header.length..at + header.length + header.packed_bytes;
        at = body.end;
        if !header.agrees(scratch.packed.get(body.clone()).ok_or(Fault::End)?) {
            return Err(Fault::Checksum);
        }
        if header.values > VALUES {
            return Err(Fault::Long);
        }
        if header.kind == Kind::Dictionary {
            scratch.unpack(body, header.plain_bytes, (codec, PAGE_BYTES))?;
            let bytes = scratch.plain.get(..header.values * u64::BYTES).ok_or(Fault::End)?;
            dictionary.clear();
            u64::plain(bytes, &mut dictionary);
            continue;
        }
        left = left.checked_sub(header.values).ok_or(Fault::Rows)?;
        let written = open(&header, body, codec, chunk.nullable, scratch)?;
        let bytes = scratch.plain.get(written.from..).ok_or(Fault::End)?;
        let all = Values { bytes, count: header.values, encoding: written.encoding };
        values.clear();
        all.append(0..header.values, &dictionary, &mut values)?;
        each(&values);
    }
    Ok(())
}

/// Unpacks a data page of which no value is NULL.
fn open(
    header: &Header,
    body: Range<usize>,
    codec: Compression,
    nullable: bool,
    scratch: &mut Scratch,
) -> Result<Written, Fault> {
    let levels = scratch.open(header, body, (codec, PAGE_BYTES), (false, nullable))?;
    if nullable {
        let mut runs = Runs::new(scratch.levels(&levels.definition)?, 1, header.values);
        while let Some(run) = runs.next()? {
            match run {
                Run::Same(1, _) => {}
                Run::Same(..) => return Err(Fault::Levels),
                Run::Packed(bits, count) => places(bits, count, false, |_| Err(Fault::Levels))?,
            }
        }
    }
    Ok(Written { from: levels.values_from, encoding: header.encoding })
}
