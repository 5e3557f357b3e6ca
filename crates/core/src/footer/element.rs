//! The elements of a schema: a column, or a group of them, each.

use super::Error;
use super::schema::Encoding;
use super::thrift::{self, Kind as Wire, Reader};

pub(super) const REQUIRED: i64 = 0;
const REPEATED: i64 = 2;
const PHYSICAL_TYPES: std::ops::Range<i64> = 0..8;

/// A `SchemaElement`.
#[derive(Default)]
pub(super) struct Element<'a> {
    pub(super) name: Option<&'a str>,
    physical: Option<i64>,
    length: Option<i64>,
    pub(super) repetition: i64,
    pub(super) children: i64,
    converted: Option<i64>,
    logical: Option<Logical>,
}

/// The logical types that matter here.
#[derive(Clone, Copy, PartialEq)]
enum Logical {
    Text,
    Int { signed: bool },
    Half,
    Other,
}

pub(super) fn elements(bytes: &[u8]) -> Result<Vec<Element<'_>>, Error> {
    let mut reader = Reader::new(bytes);
    let count = reader.structs()?;
    let mut elements = Vec::new();
    for _ in 0..count {
        elements.push(element(&mut reader)?);
    }
    if elements.iter().any(|e| e.name.is_none()) {
        return Err(Error::Nonsense("a column has no name"));
    }
    if elements.iter().any(|e| e.physical.is_some_and(|p| !PHYSICAL_TYPES.contains(&p))) {
        return Err(Error::Nonsense("a column has a type that Parquet does not have"));
    }
    // the parquet crate, which is asked for Arrow types, believes these numbers
    if elements.iter().any(|e| e.children < 0 || e.children as usize >= count) {
        return Err(Error::Nonsense("its schema has a group without children"));
    }
    Ok(elements)
}

fn element<'a>(reader: &mut Reader<'a>) -> Result<Element<'a>, Error> {
    let (mut element, mut id) = (Element::default(), 0);
    while let Some((field, kind)) = reader.field(&mut id)? {
        match (field, kind) {
            (1, Wire::Int) => element.physical = Some(reader.int()?),
            (2, Wire::Int) => element.length = Some(reader.int()?),
            (3, Wire::Int) => element.repetition = reader.int()?,
            (4, Wire::Binary) => element.name = Some(reader.text()?),
            (5, Wire::Int) => element.children = reader.int()?,
            (6, Wire::Int) => element.converted = Some(reader.int()?),
            (10, Wire::Struct) => element.logical = Some(logical(reader)?),
            (1..=6 | 10, _) => return Err(thrift::Error::Unexpected.into()),
            _ => reader.skip(kind)?,
        }
    }
    Ok(element)
}

fn logical(reader: &mut Reader<'_>) -> Result<Logical, Error> {
    let (mut found, mut id) = (Logical::Other, 0);
    while let Some((field, kind)) = reader.field(&mut id)? {
        match (field, kind) {
            (10, Wire::Struct) => {
                found = Logical::Int { signed: is_signed(reader)? };
                continue;
            }
            (1, _) => found = Logical::Text,
            (15, _) => found = Logical::Half,
            _ => found = Logical::Other,
        }
        reader.skip(kind)?;
    }
    Ok(found)
}

fn is_signed(reader: &mut Reader<'_>) -> Result<bool, Error> {
    let (mut signed, mut id) = (true, 0);
    while let Some((field, kind)) = reader.field(&mut id)? {
        if field == 2 {
            signed = kind == Wire::True;
        }
        reader.skip(kind)?;
    }
    Ok(signed)
}

impl Element<'_> {
    /// How statistics of a scalar are encoded; `None` for what has no bounds here.
    pub(super) fn encoding(&self) -> Option<Encoding> {
        if self.children > 0 || self.repetition == REPEATED {
            return None;
        }
        match (self.physical?, self.annotation()) {
            (0, None) => Some(Encoding::Bool),
            (1, None | Some(Logical::Int { signed: true })) => Some(Encoding::Int32),
            (1, Some(Logical::Int { signed: false })) => Some(Encoding::UInt32),
            (2, None | Some(Logical::Int { signed: true })) => Some(Encoding::Int64),
            (2, Some(Logical::Int { signed: false })) => Some(Encoding::UInt64),
            (4, None) => Some(Encoding::Float),
            (5, None) => Some(Encoding::Double),
            (6, Some(Logical::Text)) => Some(Encoding::Text),
            (7, Some(Logical::Half)) if self.length == Some(2) => Some(Encoding::Half),
            _ => None,
        }
    }

    /// The logical type, also where only the older converted type is given.
    fn annotation(&self) -> Option<Logical> {
        self.logical.or_else(|| {
            Some(match self.converted? {
                0 => Logical::Text,
                11..=14 => Logical::Int { signed: false },
                15..=18 => Logical::Int { signed: true },
                _ => Logical::Other,
            })
        })
    }
}
