//! A footer with some of its columns only.
//!
//! Decoding the footer of a table with hundreds of columns takes longer than reading a few of these. So
//! what says something of the others is passed over, byte by byte, and what remains is a footer again:
//! that of a file that has the wanted columns alone, at the places where they are.

use super::Error;
use super::element::elements;
use super::schema::{arrow_schema, check_tree};
use super::thrift::{Kind, Reader};
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Wire types of the values that are written here.
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A footer of the wanted columns, and their Arrow types.
pub(crate) struct Trimmed {
    /// `FileMetaData`, as it is encoded in a file.
    pub(crate) bytes: Vec<u8>,
    /// The wanted columns.
    pub(crate) schema: SchemaRef,
}

/// Which columns are wanted, and what that means for the schemas that were met.
pub(crate) struct Wanted {
    is_wanted: Box<dyn Fn(&str) -> bool + Send + Sync>,
    known: Mutex<Vec<Arc<Known>>>,
}

struct Known {
    tree: Box<[u8]>,
    arrow: Option<Box<str>>,
    /// Elements of the wanted columns, as a list.
    kept: Vec<u8>,
    leaves: Vec<bool>,
    schema: SchemaRef,
}

impl Wanted {
    /// Columns by their names.
    pub(crate) fn new(is_wanted: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { is_wanted: Box::new(is_wanted), known: Mutex::new(Vec::new()) }
    }

    /// The footer (without its length and magic) with the wanted columns alone.
    pub(crate) fn trim(&self, footer: &[u8]) -> Result<Trimmed, Error> {
        let (mut reader, mut id) = (Reader::new(footer), 0);
        let (mut tree, mut rows, mut groups, mut pairs) = (None, None, None, None);
        while let Some((field, kind)) = reader.field(&mut id)? {
            match (field, kind) {
                (2, Kind::List) => tree = Some(reader.span(kind)?),
                (3, Kind::Int) => rows = Some(reader.span(kind)?),
                (4, Kind::List) => groups = Some(reader.span(kind)?),
                (5, Kind::List) => pairs = Some(reader.span(kind)?),
                _ => reader.skip(kind)?,
            }
        }
        let missing = Error::Nonsense("it lacks what every footer has");
        let (Some(tree), Some(rows), Some(groups)) = (tree, rows, groups) else {
            return Err(missing);
        };
        let arrow = pairs.map(arrow_value).transpose()?.flatten();
        let known = self.known(tree, arrow)?;
        let mut bytes = vec![head(1, I32), 2, head(1, LIST)];
        bytes.extend_from_slice(&known.kept);
        bytes.push(head(1, I64));
        bytes.extend_from_slice(rows);
        bytes.push(head(1, LIST));
        trim_groups(&mut Reader::new(groups), &known.leaves, &mut bytes)?;
        bytes.push(0);
        Ok(Trimmed { bytes, schema: known.schema.clone() })
    }

    fn known(&self, tree: &[u8], arrow: Option<&str>) -> Result<Arc<Known>, Error> {
        let is_it = |known: &&Arc<Known>| *known.tree == *tree && known.arrow.as_deref() == arrow;
        let held = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = held().iter().find(is_it) {
            return Ok(known.clone());
        }
        let known = Arc::new(self.look(tree, arrow)?);
        held().push(known.clone());
        Ok(known)
    }

    /// What of a schema is wanted.
    fn look(&self, tree: &[u8], arrow: Option<&str>) -> Result<Known, Error> {
        let elements = elements(tree)?;
        check_tree(&elements)?;
        let whole = arrow_schema(tree, arrow).ok_or(Error::Nonsense("its schema has no types"))?;
        let spans = spans(tree)?;
        let (mut kept, mut leaves, mut fields, mut columns) =
            (Vec::new(), Vec::new(), Vec::new(), 0);
        let mut count = 0;
        let mut at = 1;
        while let Some(element) = elements.get(at) {
            let end = end_of(&elements, at);
            let is_wanted = (self.is_wanted)(element.name.unwrap_or_default());
            let below = elements.get(at..end).unwrap_or_default();
            leaves.extend(below.iter().filter(|e| e.children <= 0).map(|_| is_wanted));
            if is_wanted {
                count += end - at;
                let bytes = spans.get(at).zip(spans.get(end - 1));
                let bytes = bytes.and_then(|(first, last)| tree.get(first.start..last.end));
                kept.extend_from_slice(bytes.ok_or(Error::Nonsense("its schema ends early"))?);
                fields.extend(whole.fields().get(columns).cloned());
            }
            columns += 1;
            at = end;
        }
        let children = fields.len() as u64;
        let mut list = list_head(count + 1);
        // the root: a name, and how many columns there are
        list.extend_from_slice(&[head(4, BINARY), 6]);
        list.extend_from_slice(b"schema");
        list.push(head(1, I32));
        varint(children << 1, &mut list);
        list.push(0);
        list.extend_from_slice(&kept);
        let schema = Arc::new(ArrowSchema::new(fields));
        Ok(Known { tree: tree.into(), arrow: arrow.map(Into::into), kept: list, leaves, schema })
    }
}

/// Where each element of a list of structs lies.
fn spans(tree: &[u8]) -> Result<Vec<Range<usize>>, Error> {
    let mut reader = Reader::new(tree);
    let count = reader.structs()?;
    let mut spans = Vec::new();
    for _ in 0..count {
        let start = tree.len() - reader.left();
        reader.skip(Kind::Struct)?;
        spans.push(start..tree.len() - reader.left());
    }
    Ok(spans)
}

/// The end of an element and its descendants; the tree was checked.
fn end_of(elements: &[super::element::Element<'_>], at: usize) -> usize {
    let (mut open, mut end) = (1i64, at);
    while open > 0 {
        let Some(element) = elements.get(end) else { break };
        open += element.children.max(0) - 1;
        end += 1;
    }
    end.max(at + 1)
}

fn arrow_value(pairs: &[u8]) -> Result<Option<&str>, Error> {
    let mut reader = Reader::new(pairs);
    for _ in 0..reader.structs()? {
        let (mut id, mut key, mut value) = (0, None, None);
        while let Some((field, kind)) = reader.field(&mut id)? {
            match (field, kind) {
                (1, Kind::Binary) => key = Some(reader.text()?),
                (2, Kind::Binary) => value = Some(reader.text()?),
                _ => reader.skip(kind)?,
            }
        }
        if key == Some("ARROW:schema") {
            return Ok(value);
        }
    }
    Ok(None)
}

fn trim_groups(reader: &mut Reader<'_>, leaves: &[bool], into: &mut Vec<u8>) -> Result<(), Error> {
    let count = reader.structs()?;
    into.extend(list_head(count));
    let wanted = leaves.iter().filter(|is_wanted| **is_wanted).count();
    for _ in 0..count {
        let (mut id, mut has_columns, mut bytes, mut rows) = (0, false, None, None);
        into.push(head(1, LIST));
        into.extend(list_head(wanted));
        while let Some((field, kind)) = reader.field(&mut id)? {
            match (field, kind) {
                (1, Kind::List) => {
                    if has_columns || reader.structs()? != leaves.len() {
                        return Err(Error::Nonsense("a row group has other columns than the file"));
                    }
                    has_columns = true;
                    for is_wanted in leaves {
                        let column = reader.span(Kind::Struct)?;
                        if *is_wanted {
                            into.extend_from_slice(column);
                        }
                    }
                }
                (2, Kind::Int) => bytes = Some(reader.span(kind)?),
                (3, Kind::Int) => rows = Some(reader.span(kind)?),
                _ => reader.skip(kind)?,
            }
        }
        let (Some(bytes), Some(rows), true) = (bytes, rows, has_columns) else {
            return Err(Error::Nonsense("a row group lacks what every one has"));
        };
        into.push(head(1, I64));
        into.extend_from_slice(bytes);
        into.push(head(1, I64));
        into.extend_from_slice(rows);
        into.push(0);
    }
    Ok(())
}

/// The head of a field: how far its number is from the one before, and its type.
const fn head(step: u8, kind: u8) -> u8 {
    step << 4 | kind
}

fn list_head(count: usize) -> Vec<u8> {
    match u8::try_from(count) {
        Ok(few @ 0..15) => vec![head(few, STRUCT)],
        _ => {
            let mut bytes = vec![head(15, STRUCT)];
            varint(count as u64, &mut bytes);
            bytes
        }
    }
}

fn varint(mut number: u64, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, written};
    use super::*;
    use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
    use parquet::file::metadata::ParquetMetaDataReader;
    use parquet::file::properties::WriterProperties;

    #[test]
    fn what_remains_is_what_the_whole_footer_says_of_the_columns() {
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(3)).build();
        let file = written(&batch(), properties);
        let bytes = std::fs::read(file.path()).expect("bytes");
        let length = u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().expect("four"));
        let footer = &bytes[bytes.len() - 8 - length as usize..bytes.len() - 8];
        let whole = ParquetMetaDataReader::decode_metadata(footer).expect("a footer");
        let whole = ArrowReaderMetadata::try_new(Arc::new(whole), ArrowReaderOptions::new());
        let whole = whole.expect("a schema");
        let names: Vec<String> =
            whole.schema().fields().iter().map(|field| field.name().clone()).collect();
        for chosen in [0..names.len(), 0..1, 1..3, names.len() - 1..names.len(), 0..0] {
            let chosen = names[chosen].to_vec();
            let asked = chosen.clone();
            let wanted = Wanted::new(move |name| asked.iter().any(|known| known == name));
            let trimmed = wanted.trim(footer).expect("trimmed");
            let found = ParquetMetaDataReader::decode_metadata(&trimmed.bytes).expect("a footer");
            assert_eq!(found.num_row_groups(), whole.metadata().num_row_groups());
            for (ours, theirs) in found.row_groups().iter().zip(whole.metadata().row_groups()) {
                assert_eq!(ours.num_rows(), theirs.num_rows());
                let of =
                    |path: &str| chosen.iter().any(|name| path.split('.').next() == Some(name));
                let theirs = theirs.columns().iter();
                let theirs: Vec<_> = theirs
                    .filter(|c| of(&c.column_path().string()))
                    .map(|c| c.byte_range())
                    .collect();
                let ours: Vec<_> = ours.columns().iter().map(|c| c.byte_range()).collect();
                assert_eq!(ours, theirs);
            }
            let options = ArrowReaderOptions::new().with_schema(trimmed.schema.clone());
            let found = ArrowReaderMetadata::try_new(Arc::new(found), options).expect("its schema");
            let fields: Vec<&String> = found.schema().fields().iter().map(|f| f.name()).collect();
            assert_eq!(fields, chosen.iter().collect::<Vec<_>>());
        }
    }
}
