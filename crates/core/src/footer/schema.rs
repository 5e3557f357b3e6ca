//! Columns of a file and where their bounds lie; decoded once for all files that share them.

use super::Error;
use super::element::{Element, REQUIRED, elements};
use crate::guard::guard;
use crate::metadata;
use crate::order::is_key;
use arrow::datatypes::Schema as ArrowSchema;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::{KeyValue, ParquetMetaDataReader};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Groups within groups within groups: deeper than this is damage.
const MAX_DEPTH: usize = 64;

/// What kind of values a column holds, as far as comparing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Whole numbers of any width.
    Int,
    /// Floating-point numbers of any width.
    Float,
    /// UTF-8 text.
    Text,
    /// Booleans; their bounds lie among those of integers.
    Bool,
    /// Anything else: arrays, structs, times, decimals, bytes. No bounds are kept.
    Other,
}

/// A top-level column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name, as the file spells it.
    pub name: String,
    /// Arrow type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Kind of values.
    pub kind: Kind,
    /// Place in the bounds of its kind, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<usize>,
    /// Place in the NULL counts, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// Unit, VOUnit spelling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// IVOA UCD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ucd: Option<String>,
    /// One sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// How a scalar column's statistics are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Bool,
    Int32,
    Int64,
    UInt32,
    UInt64,
    Half,
    Float,
    Double,
    Text,
}

impl Encoding {
    /// Whether values compare otherwise than signed numbers do: unsigned ones, texts, and halves,
    /// which are bytes.
    pub(super) fn needs_order(self) -> bool {
        matches!(self, Self::UInt32 | Self::UInt64 | Self::Text | Self::Half)
    }

    fn kind(self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::Int32 | Self::Int64 | Self::UInt32 | Self::UInt64 => Kind::Int,
            Self::Half | Self::Float | Self::Double => Kind::Float,
            Self::Text => Kind::Text,
        }
    }
}

/// A column as stored: a leaf of the schema's tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf {
    pub(super) scalar: Option<Scalar>,
    pub(super) nullable: bool,
}

/// Where the bounds of a top-level scalar go, from 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scalar {
    pub(super) encoding: Encoding,
    pub(super) slot: usize,
    pub(super) position: usize,
}

/// How many columns of each kind there are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slots {
    pub(super) positions: usize,
    pub(super) ints: usize,
    pub(super) floats: usize,
    pub(super) texts: usize,
}

impl Slots {
    fn place(&mut self, encoding: Encoding) -> Scalar {
        let (count, position) = match encoding.kind() {
            Kind::Float => (&mut self.floats, self.positions),
            Kind::Text => (&mut self.texts, self.positions),
            _ => (&mut self.ints, self.positions),
        };
        let slot = *count;
        *count += 1;
        self.positions += 1;
        Scalar { encoding, slot, position }
    }
}

/// The columns of a file.
#[derive(Debug, Clone)]
pub struct Schema {
    fingerprint: String,
    columns: Vec<Column>,
    /// Places of columns by their folded names; `None` where several have the name.
    named: HashMap<String, Option<usize>>,
    leaves: Vec<Leaf>,
    slots: Slots,
    key: Option<usize>,
}

impl Schema {
    /// Of a file that has none.
    pub(super) fn without_columns() -> Self {
        let fingerprint = blake3::hash(b"[]").to_hex().to_string();
        Self { fingerprint, ..Self::empty() }
    }

    fn empty() -> Self {
        Self {
            fingerprint: String::new(),
            columns: Vec::new(),
            named: HashMap::new(),
            leaves: Vec::new(),
            slots: Slots::default(),
            key: None,
        }
    }

    /// BLAKE3 (hex) of the column list: files with equal fingerprints have the same columns and
    /// the same places for their bounds.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The columns, in the file's order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The one column of that name, whatever its case; `None` where there is none or several.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        let place = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => self.named.get(&name.to_ascii_lowercase()),
            false => self.named.get(name),
        };
        self.columns.get((*place?)?)
    }

    pub(super) fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// Which leaf the TARGETIDs are, where they are 64-bit integers.
    pub(super) fn key(&self) -> Option<usize> {
        self.key
    }

    pub(super) fn slots(&self) -> Slots {
        self.slots
    }
}

/// The schemas met so far: few, for thousands of files.
#[derive(Debug, Default)]
pub struct Schemas {
    known: RwLock<Vec<Known>>,
}

/// A schema as it was met.
#[derive(Debug)]
struct Known {
    tree: Box<[u8]>,
    arrow: Option<Box<str>>,
    schema: Arc<Schema>,
}

impl Schemas {
    /// A schema with that tree of columns: its leaves are those of every schema with that tree.
    pub(super) fn with_tree(&self, tree: &[u8]) -> Option<Arc<Schema>> {
        self.find(|known| *known.tree == *tree)
    }

    /// The schema of a footer: `tree` is its part of it, `arrow` the value of `ARROW:schema`.
    pub(super) fn get(&self, tree: &[u8], arrow: Option<&str>) -> Result<Arc<Schema>, Error> {
        if let Some(known) = self.find(|k| *k.tree == *tree && k.arrow.as_deref() == arrow) {
            return Ok(known);
        }
        let schema = Arc::new(decode(tree, arrow)?);
        let known =
            Known { tree: tree.into(), arrow: arrow.map(Into::into), schema: schema.clone() };
        self.known.write().unwrap_or_else(PoisonError::into_inner).push(known);
        Ok(schema)
    }

    fn find(&self, is_it: impl Fn(&Known) -> bool) -> Option<Arc<Schema>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|known| is_it(known)).map(|known| known.schema.clone())
    }
}

fn decode(tree: &[u8], arrow: Option<&str>) -> Result<Schema, Error> {
    let elements = elements(tree)?;
    let mut rest = elements.iter();
    let root = rest.next().ok_or(Error::Nonsense("its schema is empty"))?;
    // the parquet crate descends as deep as the schema says: never before it was checked
    check_tree(&elements)?;
    let arrow = arrow_schema(tree, arrow);
    let mut schema = Schema::empty();
    let mut key = None;
    for index in 0..root.children {
        let element = rest.next().ok_or(Error::Nonsense("its schema ends early"))?;
        if element.name.is_some_and(is_key) {
            key.get_or_insert((schema.columns.len(), schema.leaves.len()));
        }
        let scalar = element.encoding().map(|encoding| schema.slots.place(encoding));
        if element.children > 0 {
            for _ in 0..leaves_below(element, &mut rest, MAX_DEPTH)? {
                schema.leaves.push(Leaf { scalar: None, nullable: true });
            }
        } else {
            schema.leaves.push(Leaf { scalar, nullable: element.repetition != REQUIRED });
        }
        let field = arrow.as_ref().and_then(|a| a.fields().get(usize::try_from(index).ok()?));
        let text = |key| field.and_then(|f| f.metadata().get(key).map(|t| without_nul(t)));
        schema.columns.push(Column {
            name: without_nul(element.name.unwrap_or_default()),
            data_type: field
                .map_or_else(|| "unknown".to_owned(), |f| without_nul(&f.data_type().to_string())),
            kind: scalar.map_or(Kind::Other, |s| s.encoding.kind()),
            slot: scalar.map(|s| s.slot + 1),
            position: scalar.map(|s| s.position + 1),
            nullable: element.repetition != REQUIRED,
            unit: text(metadata::UNIT),
            ucd: text(metadata::UCD),
            description: text(metadata::DESCRIPTION),
        });
    }
    for (place, column) in schema.columns.iter().enumerate() {
        let named = schema.named.entry(column.name.to_ascii_lowercase());
        named.and_modify(|several| *several = None).or_insert(Some(place));
    }
    schema.key = key.and_then(|(column, leaf)| {
        let is_plain = schema.columns.get(column)?.data_type == "Int64";
        is_plain.then_some(leaf)
    });
    let columns = serde_json::to_vec(&schema.columns).unwrap_or_default();
    schema.fingerprint = blake3::hash(&columns).to_hex().to_string();
    Ok(schema)
}

/// Postgres holds no NUL.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Head of the second field of a struct, a list.
const SCHEMA_FIELD: u8 = 0x29;

/// Makes sure that the elements are one tree of bounded depth.
pub(super) fn check_tree(elements: &[Element<'_>]) -> Result<(), Error> {
    let mut rest = elements.iter();
    if let Some(root) = rest.next() {
        leaves_below(root, &mut rest, MAX_DEPTH)?;
    }
    match rest.next() {
        None => Ok(()),
        Some(_) => Err(Error::Nonsense("its schema has elements to spare")),
    }
}

/// Passes over the descendants of a group and counts their leaves.
fn leaves_below<'a, 'b: 'a>(
    group: &Element<'_>,
    rest: &mut impl Iterator<Item = &'a Element<'b>>,
    depth: usize,
) -> Result<usize, Error> {
    let depth = depth.checked_sub(1).ok_or(Error::Nonsense("its schema is nested too deep"))?;
    let mut leaves = 0;
    for _ in 0..group.children {
        let element = rest.next().ok_or(Error::Nonsense("its schema ends early"))?;
        leaves += match element.children {
            ..=0 => 1,
            _ => leaves_below(element, rest, depth)?,
        };
    }
    Ok(leaves)
}

/// The Arrow schema, for types and field metadata: what cannot be had is done without.
pub(super) fn arrow_schema(tree: &[u8], arrow: Option<&str>) -> Option<ArrowSchema> {
    // a footer that has the schema alone
    let footer = [&[SCHEMA_FIELD], tree, &[0]].concat();
    let hint = arrow.map(|value| vec![KeyValue::new("ARROW:schema".to_owned(), value.to_owned())]);
    let with = |hint: Option<&Vec<KeyValue>>| {
        let convert = || {
            let tree = ParquetMetaDataReader::decode_schema(&footer).ok()?;
            parquet_to_arrow_schema(&tree, hint).ok()
        };
        guard(convert).ok().flatten()
    };
    with(hint.as_ref()).or_else(|| with(None))
}
