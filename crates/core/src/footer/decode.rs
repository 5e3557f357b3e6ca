//! Bytes of a footer to [`Footer`], in one pass where its schema is known.

use super::packed::{Packed, Statistics};
use super::schema::{Schema, Schemas};
use super::thrift::{self, Kind, Reader};
use super::{Chunk, Error, Footer};
use std::ops::Range;

type Result<T> = std::result::Result<T, Error>;

/// The fields of `FileMetaData` that matter.
#[derive(Default)]
struct Parts<'a> {
    schema: Option<&'a [u8]>,
    num_rows: Option<i64>,
    groups: Groups<'a>,
    key_values: Option<&'a [u8]>,
    writer: Option<String>,
    orders: Option<&'a [u8]>,
}

/// The list of row groups. Its meaning depends on the schema, which mostly was met before in
/// another file and stands before it in this one: then it is decoded as it comes.
enum Groups<'a> {
    Encoded(&'a [u8]),
    Decoded(Decoded),
}

/// Of each row group its bounds, and where its keys are.
#[derive(Default)]
struct Decoded {
    bounds: Vec<Packed>,
    keys: Vec<Chunk>,
}

impl Default for Groups<'_> {
    fn default() -> Self {
        Self::Decoded(Decoded::default())
    }
}

impl<'a> Parts<'a> {
    fn find(bytes: &'a [u8], data_bytes: u64, schemas: &Schemas) -> Result<Self> {
        let (mut reader, mut id) = (Reader::new(bytes), 0);
        let mut parts = Self::default();
        while let Some((field, kind)) = reader.field(&mut id)? {
            match (field, kind) {
                // what the row groups were decoded by must not change afterwards
                (2, Kind::List) if parts.schema.is_some() => {
                    return Err(Error::Nonsense("it has two schemas"));
                }
                (2, Kind::List) => parts.schema = Some(reader.span(kind)?),
                (3, Kind::Int) => parts.num_rows = Some(reader.int()?),
                (4, Kind::List) => {
                    parts.groups = match parts.schema.and_then(|s| schemas.with_tree(s)) {
                        Some(schema) => {
                            Groups::Decoded(row_groups(&mut reader, data_bytes, &schema)?)
                        }
                        None => Groups::Encoded(reader.span(kind)?),
                    };
                }
                (5, Kind::List) => parts.key_values = Some(reader.span(kind)?),
                (6, Kind::Binary) => {
                    parts.writer = Some(String::from_utf8_lossy(reader.binary()?).into_owned());
                }
                (7, Kind::List) => parts.orders = Some(reader.span(kind)?),
                // the footer can be read, the columns cannot
                (8, Kind::Struct) => return Err(Error::Encrypted),
                (2..=8, _) => return Err(thrift::Error::Unexpected.into()),
                _ => reader.skip(kind)?,
            }
        }
        Ok(parts)
    }
}

/// Decodes a footer that follows `data_bytes` of the file.
pub(super) fn footer(bytes: &[u8], data_bytes: u64, schemas: &Schemas) -> Result<Footer> {
    let parts = Parts::find(bytes, data_bytes, schemas)?;
    let schema_bytes = parts.schema.ok_or(Error::Nonsense("it has no schema"))?;
    let num_rows = parts.num_rows.ok_or(Error::Nonsense("it has no row count"))?;
    let pairs = parts.key_values.map(key_values).transpose()?.unwrap_or_default();
    let arrow = pairs.iter().find(|(key, _)| *key == "ARROW:schema").map(|(_, value)| *value);
    let schema = schemas.get(schema_bytes, arrow)?;
    let Decoded { bounds: mut groups, keys } = match parts.groups {
        Groups::Decoded(decoded) => decoded,
        Groups::Encoded(bytes) => row_groups(&mut Reader::new(bytes), data_bytes, &schema)?,
    };
    if groups.iter().try_fold(0i64, |sum, g| sum.checked_add(g.num_rows)) != Some(num_rows) {
        return Err(Error::Nonsense("its row groups do not add up to its row count"));
    }
    let leaves = schema.leaves().len();
    if !parts.orders.map(|o| all_type_ordered(o, leaves)).transpose()?.unwrap_or(false) {
        groups.iter_mut().for_each(|group| group.forget_unordered(&schema));
    }
    let num_row_groups = groups.len();
    let bounds = match groups.pop() {
        Some(only) if groups.is_empty() => only,
        last => {
            groups.extend(last);
            Packed::merged(&schema, &groups)
        }
    };
    let hash = blake3::hash(bytes);
    let (hash, _) = hash.as_bytes().split_first_chunk().expect("a BLAKE3 hash has 32 bytes");
    Ok(Footer {
        num_row_groups,
        bounds,
        groups,
        keys: if schema.key().is_some() { keys } else { Vec::new() },
        schema,
        writer: parts.writer,
        key_values: pairs
            .into_iter()
            .filter(|(key, _)| key.starts_with("bifrost."))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        hash: *hash,
    })
}

fn key_values(bytes: &[u8]) -> Result<Vec<(&str, &str)>> {
    let mut reader = Reader::new(bytes);
    let count = reader.structs()?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let (mut key, mut value, mut id) = (None, None, 0);
        while let Some((field, kind)) = reader.field(&mut id)? {
            match (field, kind) {
                (1, Kind::Binary) => key = std::str::from_utf8(reader.binary()?).ok(),
                (2, Kind::Binary) => value = std::str::from_utf8(reader.binary()?).ok(),
                _ => reader.skip(kind)?,
            }
        }
        pairs.extend(key.zip(value));
    }
    Ok(pairs)
}

/// Whether the file states that every column is ordered as its type is; without that, bounds of
/// text and of unsigned numbers may follow another order.
fn all_type_ordered(bytes: &[u8], leaves: usize) -> Result<bool> {
    let mut reader = Reader::new(bytes);
    let count = reader.structs()?;
    let mut all = count == leaves;
    for _ in 0..count {
        let (mut id, mut fields, mut by_type) = (0, 0, 0);
        while let Some((field, kind)) = reader.field(&mut id)? {
            fields += 1;
            by_type += usize::from(field == 1);
            reader.skip(kind)?;
        }
        all &= (fields, by_type) == (1, 1);
    }
    Ok(all)
}

fn row_groups(reader: &mut Reader<'_>, data_bytes: u64, schema: &Schema) -> Result<Decoded> {
    let count = reader.structs()?;
    let mut groups = Decoded::default();
    for _ in 0..count {
        let bounds = row_group(reader, data_bytes, schema, &mut groups.keys)?;
        groups.bounds.push(bounds);
    }
    Ok(groups)
}

fn row_group(
    reader: &mut Reader<'_>,
    data_bytes: u64,
    schema: &Schema,
    keys: &mut Vec<Chunk>,
) -> Result<Packed> {
    let (mut bounds, mut num_rows, mut id) = (Packed::unknown(schema.slots()), None, 0);
    // a few bytes must not claim the bounds of a thousand columns
    let mut has_columns = schema.leaves().is_empty();
    while let Some((field, kind)) = reader.field(&mut id)? {
        match (field, kind) {
            (1, Kind::List) => {
                if reader.structs()? != schema.leaves().len() {
                    return Err(Error::Nonsense("a row group has another number of columns"));
                }
                for (number, leaf) in schema.leaves().iter().enumerate() {
                    let (statistics, pages) = column_chunk(reader, data_bytes)?;
                    bounds.note(leaf, &statistics);
                    if schema.key() == Some(number) {
                        keys.extend(pages.and_then(|pages| pages.chunk(leaf.nullable)));
                    }
                }
                has_columns = true;
            }
            (3, Kind::Int) => num_rows = Some(reader.int()?),
            (1 | 3, _) => return Err(thrift::Error::Unexpected.into()),
            _ => reader.skip(kind)?,
        }
    }
    match num_rows {
        Some(rows) if rows >= 0 => bounds.num_rows = rows,
        _ => return Err(Error::Nonsense("a row group has no row count")),
    }
    if !has_columns {
        return Err(Error::Nonsense("a row group has no columns"));
    }
    bounds.drop_impossible_counts();
    Ok(bounds)
}

/// The statistics of a `ColumnChunk`, none of them where it has none (or is encrypted), and its pages.
fn column_chunk<'a>(
    reader: &mut Reader<'a>,
    data_bytes: u64,
) -> Result<(Statistics<'a>, Option<Pages>)> {
    let (mut found, mut pages, mut id) = (Statistics::default(), None, 0);
    while let Some((field, kind)) = reader.field(&mut id)? {
        match (field, kind) {
            (3, Kind::Struct) => {
                let of_chunk;
                (found, of_chunk) = column_metadata(reader)?;
                if !of_chunk.lie_within(data_bytes) {
                    return Err(Error::Nonsense("a column lies outside of the file"));
                }
                pages = Some(of_chunk);
            }
            (3, _) => return Err(thrift::Error::Unexpected.into()),
            _ => reader.skip(kind)?,
        }
    }
    Ok((found, pages))
}

/// Where the pages of a column lie in the file, in bytes.
#[derive(Default)]
struct Pages {
    codec: Option<i64>,
    values: Option<i64>,
    decoded: Option<i64>,
    stored: Option<i64>,
    data: Option<i64>,
    dictionary: Option<i64>,
}

impl Pages {
    /// Readers believe these numbers: what is negative or leads out of the file must not get to
    /// them. A dictionary at 0, where the magic is, is none.
    fn lie_within(&self, data_bytes: u64) -> bool {
        [self.values, self.decoded].map(number).iter().all(Option::is_some)
            && number(self.data).is_some_and(|data| data <= data_bytes)
            && self.bytes().is_some_and(|bytes| bytes.end <= data_bytes)
    }

    fn bytes(&self) -> Option<Range<u64>> {
        let dictionary = number(self.dictionary.or(Some(0)))?;
        let start = if dictionary > 0 { dictionary } else { number(self.data)? };
        Some(start..start.checked_add(number(self.stored)?)?)
    }

    fn chunk(&self, nullable: bool) -> Option<Chunk> {
        let (bytes, values) = (self.bytes()?, usize::try_from(self.values?).ok()?);
        Some(Chunk { bytes, values, codec: i32::try_from(self.codec?).ok()?, nullable })
    }
}

fn number(stated: Option<i64>) -> Option<u64> {
    u64::try_from(stated?).ok()
}

fn column_metadata<'a>(reader: &mut Reader<'a>) -> Result<(Statistics<'a>, Pages)> {
    let (mut found, mut pages, mut id) = (Statistics::default(), Pages::default(), 0);
    while let Some((field, kind)) = reader.field(&mut id)? {
        match (field, kind) {
            (4, Kind::Int) => pages.codec = Some(reader.int()?),
            (5, Kind::Int) => pages.values = Some(reader.int()?),
            (6, Kind::Int) => pages.decoded = Some(reader.int()?),
            (7, Kind::Int) => pages.stored = Some(reader.int()?),
            (9, Kind::Int) => pages.data = Some(reader.int()?),
            (11, Kind::Int) => pages.dictionary = Some(reader.int()?),
            (12, Kind::Struct) => found = statistics(reader)?,
            (4..=7 | 9 | 11 | 12, _) => return Err(thrift::Error::Unexpected.into()),
            _ => reader.skip(kind)?,
        }
    }
    Ok((found, pages))
}

fn statistics<'a>(reader: &mut Reader<'a>) -> Result<Statistics<'a>> {
    let (mut found, mut id) = (Statistics::default(), 0);
    while let Some((field, kind)) = reader.field(&mut id)? {
        match (field, kind) {
            (1, Kind::Binary) => found.old_max = Some(reader.binary()?),
            (2, Kind::Binary) => found.old_min = Some(reader.binary()?),
            (3, Kind::Int) => found.null_count = Some(reader.int()?),
            (5, Kind::Binary) => found.max = Some(reader.binary()?),
            (6, Kind::Binary) => found.min = Some(reader.binary()?),
            (7, Kind::True) => found.max_is_exact = true,
            (8, Kind::True) => found.min_is_exact = true,
            (7 | 8, Kind::False) => {}
            (1..=3 | 5..=8, _) => return Err(thrift::Error::Unexpected.into()),
            _ => reader.skip(kind)?,
        }
    }
    Ok(found)
}
