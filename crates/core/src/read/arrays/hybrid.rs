//! Parquet's hybrid of runs and packed bits: levels, and indices into a dictionary.

use super::Fault;
use std::ops::Range;

/// Numbers that come one after the other.
#[derive(Debug)]
pub(super) enum Run<'a> {
    /// One of them, so many times.
    Same(u32, usize),
    /// So many, of equally many bits each.
    Packed(&'a [u8], usize),
}

/// The runs of so many numbers.
pub(super) struct Runs<'a> {
    rest: &'a [u8],
    bits: u32,
    left: usize,
}

impl<'a> Runs<'a> {
    /// Of `count` numbers of `bits` bits, at most 32.
    pub(super) fn new(bytes: &'a [u8], bits: u32, count: usize) -> Self {
        Self { rest: bytes, bits, left: count }
    }

    /// The next run, never an empty one; `None` after the last number.
    pub(super) fn next(&mut self) -> Result<Option<Run<'a>>, Fault> {
        if self.left == 0 {
            return Ok(None);
        }
        if self.bits == 0 {
            return Ok(Some(Run::Same(0, std::mem::take(&mut self.left))));
        }
        let head = self.varint()?;
        let stated = usize::try_from(head >> 1).map_err(|_| Fault::Levels)?;
        let run = match head & 1 {
            0 => {
                let count = stated.min(self.left);
                let bytes = self.take(self.bits.div_ceil(8) as usize)?;
                let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
                self.left -= count;
                Run::Same(value, count)
            }
            _ => {
                let bits = self.bits as usize;
                let count = stated.saturating_mul(8).min(self.left);
                // some writers leave out what fills up the last eight
                let bytes = stated.saturating_mul(bits).min(self.rest.len());
                if bytes < count.saturating_mul(bits).div_ceil(8) {
                    return Err(Fault::End);
                }
                self.left -= count;
                Run::Packed(self.take(bytes)?, count)
            }
        };
        match run {
            Run::Same(_, 0) | Run::Packed(_, 0) => Err(Fault::Levels),
            run => Ok(Some(run)),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Fault::End)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first().ok_or(Fault::End)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Fault::End)
    }
}

/// Numbers of packed bits, from the one at `range.start` on.
pub(super) fn unpacked(bytes: &[u8], bits: u32, range: Range<usize>) -> impl Iterator<Item = u32> {
    let mask = (1u64 << bits) - 1;
    range.map(move |index| {
        let bit = index * bits as usize;
        let rest = bytes.get(bit / 8..).unwrap_or_default();
        let word = match rest.first_chunk::<8>() {
            Some(eight) => u64::from_le_bytes(*eight),
            None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        (word >> (bit % 8) & mask) as u32
    })
}

/// Where the bits of a packed stretch of single bits are `wanted`; calls `found` with each place.
pub(super) fn places(
    bytes: &[u8],
    count: usize,
    wanted: bool,
    mut found: impl FnMut(usize) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for (at, byte) in bytes.iter().enumerate().take(count.div_ceil(8)) {
        let mut left = if wanted { *byte } else { !*byte };
        while left != 0 {
            let place = at * 8 + left.trailing_zeros() as usize;
            if place >= count {
                break;
            }
            found(place)?;
            left &= left - 1;
        }
    }
    Ok(())
}
