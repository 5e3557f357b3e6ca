//! Values of a page: those of the rows that are wanted, and no others.

use super::Fault;
use super::header::Encoding;
use super::hybrid::{Run, Runs, unpacked};
use arrow::datatypes::ArrowNativeType;
use std::iter::repeat_n;
use std::ops::Range;

/// The bits of a value; what they mean is for Arrow to say.
pub(super) trait Word: ArrowNativeType {
    const BYTES: usize;

    /// Values that lie one after the other.
    fn plain(bytes: &[u8], into: &mut Vec<Self>);

    /// Values of which all first bytes lie together, all second bytes, and so on.
    fn joined(planes: &[&[u8]], into: &mut Vec<Self>);
}

impl Word for u32 {
    const BYTES: usize = 4;

    fn plain(bytes: &[u8], into: &mut Vec<Self>) {
        into.extend(bytes.as_chunks().0.iter().map(|bytes| Self::from_le_bytes(*bytes)));
    }

    fn joined(planes: &[&[u8]], into: &mut Vec<Self>) {
        if let [a, b, c, d] = planes {
            into.extend(quads(a, b, c, d));
        }
    }
}

impl Word for u64 {
    const BYTES: usize = 8;

    fn plain(bytes: &[u8], into: &mut Vec<Self>) {
        into.extend(bytes.as_chunks().0.iter().map(|bytes| Self::from_le_bytes(*bytes)));
    }

    fn joined(planes: &[&[u8]], into: &mut Vec<Self>) {
        if let [a, b, c, d, e, f, g, h] = planes {
            let both = quads(a, b, c, d).zip(quads(e, f, g, h));
            into.extend(both.map(|(low, high)| Self::from(low) | Self::from(high) << 32));
        }
    }
}

fn quads(a: &[u8], b: &[u8], c: &[u8], d: &[u8]) -> impl Iterator<Item = u32> {
    let pairs = a.iter().zip(b).zip(c.iter().zip(d));
    pairs.map(|((a, b), (c, d))| u32::from_le_bytes([*a, *b, *c, *d]))
}

/// The values of a page, as they are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) count: usize,
    pub(super) encoding: Encoding,
}

impl Values<'_> {
    /// Appends some of them.
    pub(super) fn append<W: Word>(
        &self,
        range: Range<usize>,
        dictionary: &[W],
        into: &mut Vec<W>,
    ) -> Result<(), Fault> {
        match self.encoding {
            Encoding::Plain => {
                let bytes = self.bytes.get(range.start * W::BYTES..range.end * W::BYTES);
                W::plain(bytes.ok_or(Fault::End)?, into);
            }
            Encoding::Split => {
                if self.bytes.len() != self.count * W::BYTES || range.end > self.count {
                    return Err(Fault::End);
                }
                let planes = self.bytes.chunks_exact(self.count.max(1));
                let planes = planes.map(|plane| plane.get(range.clone()).unwrap_or_default());
                W::joined(&planes.collect::<Vec<_>>(), into);
            }
            Encoding::Dictionary => self.look_up(range, dictionary, into)?,
        }
        Ok(())
    }

    fn look_up<W: Word>(
        &self,
        range: Range<usize>,
        dictionary: &[W],
        into: &mut Vec<W>,
    ) -> Result<(), Fault> {
        if range.is_empty() {
            return Ok(());
        }
        let (&bits, bytes) = self.bytes.split_first().ok_or(Fault::End)?;
        if bits > 32 {
            return Err(Fault::Dictionary);
        }
        let bits = u32::from(bits);
        let mut runs = Runs::new(bytes, bits, self.count);
        let mut at = 0;
        while at < range.end {
            let run = runs.next()?.ok_or(Fault::End)?;
            let (Run::Same(_, many) | Run::Packed(_, many)) = run;
            let here = range.start.max(at) - at..range.end.min(at + many).max(at) - at;
            at += many;
            if here.is_empty() {
                continue;
            }
            match run {
                Run::Same(index, _) => {
                    let value = dictionary.get(index as usize).ok_or(Fault::Dictionary)?;
                    into.extend(repeat_n(*value, here.len()));
                }
                Run::Packed(bytes, _) => {
                    into.reserve(here.len());
                    for index in unpacked(bytes, bits, here) {
                        into.push(*dictionary.get(index as usize).ok_or(Fault::Dictionary)?);
                    }
                }
            }
        }
        Ok(())
    }
}
