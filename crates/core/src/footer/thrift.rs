//! Thrift's compact protocol, read-only and distrustful: the encoding of Parquet footers.
//!
//! Every length is checked against the bytes that are left before anything is done with it, and
//! nesting is bounded, so that no footer, however damaged, can make the program panic, allocate
//! without limit or run out of stack.

/// What is wrong with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end inside a value.
    #[error("it ends inside a value")]
    End,
    /// A number is longer than 64 bits.
    #[error("a number is too long")]
    Number,
    /// A type that the protocol does not have.
    #[error("type {0} is unknown")]
    Type(u8),
    /// A value of another type than the format prescribes.
    #[error("a value has the wrong type")]
    Unexpected,
    /// Structs within structs within structs.
    #[error("it is nested too deep")]
    Depth,
    /// Text that is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
}

type Result<T> = std::result::Result<T, Error>;

/// Wire type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    True,
    False,
    Byte,
    Int,
    Double,
    Binary,
    List,
    Map,
    Struct,
}

impl Kind {
    fn new(code: u8) -> Result<Self> {
        Ok(match code {
            1 => Self::True,
            2 => Self::False,
            3 => Self::Byte,
            4..=6 => Self::Int,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            other => return Err(Error::Type(other)),
        })
    }
}

const MAX_DEPTH: u8 = 64;

/// A position in encoded bytes.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Error::End)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline(always)]
    fn byte(&mut self) -> Result<u8> {
        let (&byte, rest) = self.rest.split_first().ok_or(Error::End)?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64> {
        // most numbers are small
        match self.byte()? {
            byte if byte & 0x80 == 0 => Ok(u64::from(byte)),
            first => self.long_varint(first),
        }
    }

    fn long_varint(&mut self, first: u8) -> Result<u64> {
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::Number)
    }

    /// A signed number of any width.
    #[inline(always)]
    pub(crate) fn int(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Bytes with their length before them.
    #[inline(always)]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.varint()?).map_err(|_| Error::End)?;
        self.take(length)
    }

    /// Text with its length before it.
    pub(crate) fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.binary()?).map_err(|_| Error::Text)
    }

    /// The next field of a struct, given the previous field's number; `None` at its end.
    #[inline(always)]
    pub(crate) fn field(&mut self, previous: &mut i16) -> Result<Option<(i16, Kind)>> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let kind = Kind::new(head & 0x0f)?;
        let step = i16::from(head >> 4);
        *previous = if step == 0 {
            i16::try_from(self.int()?).map_err(|_| Error::Number)?
        } else {
            previous.checked_add(step).ok_or(Error::Number)?
        };
        Ok(Some((*previous, kind)))
    }

    /// The head of a list: type and count. An element takes at least a byte, so that no count
    /// exceeds what is left.
    pub(crate) fn list(&mut self) -> Result<(Kind, usize)> {
        let head = self.byte()?;
        if head == 0 {
            // some writers give empty lists no type
            return Ok((Kind::Byte, 0));
        }
        let kind = Kind::new(head & 0x0f)?;
        let count = match head >> 4 {
            15 => usize::try_from(self.varint()?).map_err(|_| Error::End)?,
            few => usize::from(few),
        };
        if count > self.rest.len() { Err(Error::End) } else { Ok((kind, count)) }
    }

    /// The head of a list of structs: its count.
    pub(crate) fn structs(&mut self) -> Result<usize> {
        match self.list()? {
            (_, 0) => Ok(0),
            (Kind::Struct, count) => Ok(count),
            _ => Err(Error::Unexpected),
        }
    }

    /// Passes over a value of a field.
    #[inline]
    pub(crate) fn skip(&mut self, kind: Kind) -> Result<()> {
        self.skip_within(kind, MAX_DEPTH)
    }

    /// Passes over a value and returns its bytes.
    pub(crate) fn span(&mut self, kind: Kind) -> Result<&'a [u8]> {
        let before = self.rest;
        self.skip(kind)?;
        Ok(&before[..before.len() - self.rest.len()])
    }

    fn skip_within(&mut self, kind: Kind, depth: u8) -> Result<()> {
        let depth = depth.checked_sub(1).ok_or(Error::Depth)?;
        match kind {
            // a field's type is its value
            Kind::True | Kind::False => Ok(()),
            Kind::Byte => self.take(1).map(drop),
            Kind::Int => self.skip_varint(),
            Kind::Double => self.take(8).map(drop),
            Kind::Binary => self.binary().map(drop),
            Kind::List => {
                let (kind, count) = self.list()?;
                match kind {
                    Kind::Int => (0..count).try_for_each(|_| self.skip_varint()),
                    Kind::Binary => (0..count).try_for_each(|_| self.binary().map(drop)),
                    other => (0..count).try_for_each(|_| self.skip_element(other, depth)),
                }
            }
            Kind::Map => self.skip_map(depth),
            Kind::Struct => self.skip_struct(depth),
        }
    }

    /// Most of a footer is passed over here.
    fn skip_struct(&mut self, depth: u8) -> Result<()> {
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            if head >> 4 == 0 {
                self.varint()?;
            }
            match head & 0x0f {
                1 | 2 => {}
                4..=6 => self.skip_varint()?,
                8 => self.binary().map(drop)?,
                other => self.skip_within(Kind::new(other)?, depth)?,
            }
        }
    }

    #[inline]
    fn skip_varint(&mut self) -> Result<()> {
        while self.byte()? & 0x80 != 0 {}
        Ok(())
    }

    /// Inside lists and maps a boolean is a byte.
    fn skip_element(&mut self, kind: Kind, depth: u8) -> Result<()> {
        match kind {
            Kind::True | Kind::False => self.take(1).map(drop),
            other => self.skip_within(other, depth),
        }
    }

    fn skip_map(&mut self, depth: u8) -> Result<()> {
        let count = self.varint()?;
        if count == 0 {
            return Ok(());
        }
        let kinds = self.byte()?;
        let (key, value) = (Kind::new(kinds >> 4)?, Kind::new(kinds & 0x0f)?);
        for _ in 0..count {
            self.skip_element(key, depth)?;
            self.skip_element(value, depth)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_zigzag_varints() {
        let mut reader = Reader::new(&[0x01, 0xfe, 0x01]);
        assert_eq!(reader.int(), Ok(-1));
        assert_eq!(reader.int(), Ok(127));
        assert_eq!(reader.int(), Err(Error::End));
        assert_eq!(Reader::new(&[0xff; 12]).int(), Err(Error::Number));
    }

    #[test]
    fn a_count_beyond_the_bytes_is_refused() {
        // a list of 2^31 - 1 structs in seven bytes
        let bytes = [0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00];
        assert_eq!(Reader::new(&bytes).structs(), Err(Error::End));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let bytes = [0x1c; 100_000];
        assert_eq!(Reader::new(&bytes).skip(Kind::Struct), Err(Error::Depth));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut seed = 1u64;
        for _ in 0..20_000 {
            let mut bytes = [0u8; 48];
            for byte in &mut bytes {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                *byte = (seed >> 56) as u8;
            }
            let mut reader = Reader::new(&bytes);
            let _ = reader.skip(Kind::Struct);
            assert!(reader.rest.len() <= bytes.len());
        }
    }
}
