//! Least and greatest values of the scalar columns of a row group or of a file, packed as the
//! registry keeps them.
//!
//! Unknown is `None`, and unknown means *keep*: whatever is doubtful (a NaN, an order that is not
//! the type's, a length that does not fit) becomes unknown, never a guess.

use super::schema::{Encoding, Leaf, Schema, Slots};
use crate::bounds::{text_above, text_below};
use arrow::datatypes::{ArrowPrimitiveType, Float16Type};

/// Longest text kept as a bound; a longer one is cut so that it still bounds.
const TEXT_BYTES: usize = 64;

/// Bounds of all scalar columns, by the slots of their [`Schema`] (from 0 here, from 1 in SQL).
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    /// Rows.
    pub num_rows: i64,
    /// NULLs by position of the column; `None` where unknown or beyond an `i32`.
    pub null_count: Vec<Option<i32>>,
    /// Of integer and boolean columns.
    pub ints: Vec<Ends<i64>>,
    /// Of floating-point columns, NaN aside.
    pub floats: Vec<Ends<f64>>,
    /// Of text columns, byte order.
    pub texts: Vec<Ends<String>>,
}

/// The ends of a column's values.
#[derive(Debug, Clone, PartialEq)]
pub struct Ends<T> {
    /// No value is less.
    pub min: Option<T>,
    /// No value is greater.
    pub max: Option<T>,
    /// Whether both are values of the column.
    pub is_exact: bool,
}

impl<T: PartialOrd> Ends<T> {
    const UNKNOWN: Self = Self { min: None, max: None, is_exact: false };

    /// Ends that are values; the wrong way round they say nothing.
    fn exact(min: Option<T>, max: Option<T>) -> Self {
        match (&min, &max) {
            (Some(a), Some(b)) if a > b => Self::UNKNOWN,
            _ => Self { min, max, is_exact: true },
        }
    }

    /// The ends of several; one that is unknown makes all unknown.
    fn around<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self
    where
        T: Clone + 'a,
    {
        let pick = |end: fn(&Self) -> &Option<T>, better: fn(&T, &T) -> bool| {
            let mut picked: Option<&T> = None;
            for one in all.clone() {
                let one = end(one).as_ref()?;
                picked = Some(picked.filter(|p| !better(one, p)).unwrap_or(one));
            }
            picked.cloned()
        };
        let (min, max) = (pick(|e| &e.min, |a, b| a < b), pick(|e| &e.max, |a, b| a > b));
        let is_exact = min.is_some() && max.is_some() && all.clone().all(|e| e.is_exact);
        Self { min, max, is_exact }
    }
}

/// Statistics of a column chunk as the footer has them.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Statistics<'a> {
    pub(super) old_min: Option<&'a [u8]>,
    pub(super) old_max: Option<&'a [u8]>,
    pub(super) min: Option<&'a [u8]>,
    pub(super) max: Option<&'a [u8]>,
    pub(super) min_is_exact: bool,
    pub(super) max_is_exact: bool,
    pub(super) null_count: Option<i64>,
}

impl<'a> Statistics<'a> {
    /// Least and greatest value, encoded. The format's first version left the order undefined:
    /// its fields count only where signed comparison is the type's.
    fn range(&self, encoding: Encoding) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
        match (self.min, self.max) {
            (None, None) if !encoding.needs_order() => (self.old_min, self.old_max),
            new => new,
        }
    }
}

impl Packed {
    /// Bounds of which nothing is known yet.
    pub(super) fn unknown(slots: Slots) -> Self {
        Self {
            num_rows: 0,
            null_count: vec![None; slots.positions],
            ints: vec![Ends::UNKNOWN; slots.ints],
            floats: vec![Ends::UNKNOWN; slots.floats],
            texts: vec![Ends::UNKNOWN; slots.texts],
        }
    }

    /// Takes up a column's statistics.
    pub(super) fn note(&mut self, leaf: &Leaf, found: &Statistics<'_>) {
        let Some(scalar) = leaf.scalar else { return };
        let (slot, encoding) = (scalar.slot, scalar.encoding);
        self.null_count[scalar.position] = match found.null_count {
            None if !leaf.nullable => Some(0),
            count => count.and_then(|n| i32::try_from(n).ok()),
        };
        match encoding {
            Encoding::Text => self.texts[slot] = text_ends(found),
            Encoding::Half | Encoding::Float | Encoding::Double => {
                let (min, max) = found.range(encoding);
                let read = |bytes: Option<&[u8]>| bytes.and_then(|b| float(encoding, b));
                self.floats[slot] = Ends::exact(read(min), read(max));
            }
            _ => {
                let (min, max) = found.range(encoding);
                let read = |bytes: Option<&[u8]>| bytes.and_then(|b| int(encoding, b));
                let ends = Ends::exact(read(min), read(max));
                // what is beyond an i64 is unknown
                let fits = |n: i128| i64::try_from(n).ok();
                self.ints[slot] = Ends::exact(ends.min.and_then(fits), ends.max.and_then(fits));
            }
        }
    }

    /// Forgets bounds that mean something only in a file that declares the order of its columns.
    pub(super) fn forget_unordered(&mut self, schema: &Schema) {
        for scalar in schema.leaves().iter().filter_map(|leaf| leaf.scalar) {
            match scalar.encoding {
                encoding if !encoding.needs_order() => {}
                Encoding::Text => self.texts[scalar.slot] = Ends::UNKNOWN,
                Encoding::Half => self.floats[scalar.slot] = Ends::UNKNOWN,
                _ => self.ints[scalar.slot] = Ends::UNKNOWN,
            }
        }
    }

    /// More NULLs than rows: the count says nothing.
    pub(super) fn drop_impossible_counts(&mut self) {
        for count in &mut self.null_count {
            *count = count.filter(|n| (0..=self.num_rows).contains(&i64::from(*n)));
        }
    }

    /// Whether a column (by position) holds no value at all.
    #[must_use]
    pub fn is_void(&self, position: usize) -> bool {
        self.null_count.get(position).copied().flatten().map(i64::from) == Some(self.num_rows)
    }

    /// Bounds of a file from those of its row groups.
    pub(super) fn merged(schema: &Schema, groups: &[Self]) -> Self {
        let mut whole = Self::unknown(schema.slots());
        // the row counts were added up without overflow when the footer was decoded
        whole.num_rows = groups.iter().map(|g| g.num_rows).sum();
        for scalar in schema.leaves().iter().filter_map(|leaf| leaf.scalar) {
            let (slot, position) = (scalar.slot, scalar.position);
            whole.null_count[position] =
                groups.iter().try_fold(0i32, |sum, g| sum.checked_add(g.null_count[position]?));
            let filled = groups.iter().filter(|g| !g.is_void(position));
            match scalar.encoding {
                Encoding::Text => whole.texts[slot] = Ends::around(filled.map(|g| &g.texts[slot])),
                Encoding::Half | Encoding::Float | Encoding::Double => {
                    whole.floats[slot] = Ends::around(filled.map(|g| &g.floats[slot]));
                }
                _ => whole.ints[slot] = Ends::around(filled.map(|g| &g.ints[slot])),
            }
        }
        whole
    }
}

fn text_ends(found: &Statistics<'_>) -> Ends<String> {
    let (min, max) = found.range(Encoding::Text);
    let (min, min_whole) = min.map_or((None, false), lower_text);
    let (max, max_whole) = max.map_or((None, false), upper_text);
    let is_exact = min_whole && max_whole && found.min_is_exact && found.max_is_exact;
    Ends { min, max, is_exact }
}

fn int(encoding: Encoding, bytes: &[u8]) -> Option<i128> {
    Some(match encoding {
        Encoding::Bool => i128::from(*bytes.first()? != 0),
        Encoding::Int32 => i128::from(i32::from_le_bytes(bytes.try_into().ok()?)),
        Encoding::Int64 => i128::from(i64::from_le_bytes(bytes.try_into().ok()?)),
        Encoding::UInt32 => i128::from(u32::from_le_bytes(bytes.try_into().ok()?)),
        Encoding::UInt64 => i128::from(u64::from_le_bytes(bytes.try_into().ok()?)),
        _ => return None,
    })
}

/// A NaN is no bound: some writers let it in.
fn float(encoding: Encoding, bytes: &[u8]) -> Option<f64> {
    let value = match encoding {
        Encoding::Half => {
            let bits = u16::from_le_bytes(bytes.try_into().ok()?);
            f64::from(<Float16Type as ArrowPrimitiveType>::Native::from_bits(bits))
        }
        Encoding::Float => f64::from(f32::from_le_bytes(bytes.try_into().ok()?)),
        Encoding::Double => f64::from_le_bytes(bytes.try_into().ok()?),
        _ => return None,
    };
    (!value.is_nan()).then_some(value)
}

/// Where a text must be cut for the registry: at its length limit, where it ceases to be UTF-8, and
/// at a NUL, which Postgres refuses.
fn cut(bytes: &[u8]) -> usize {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text.len(),
        Err(e) => e.valid_up_to(),
    };
    let nul = bytes.iter().position(|b| *b == 0).unwrap_or(valid);
    TEXT_BYTES.min(valid).min(nul)
}

/// A text no greater than the given one, and whether it is that one.
fn lower_text(bytes: &[u8]) -> (Option<String>, bool) {
    let cut = cut(bytes);
    let text = text_below(&String::from_utf8_lossy(bytes), cut).to_owned();
    let whole = text.len() == bytes.len();
    (Some(text), whole)
}

/// A text no less than the given one, and whether it is that one; `None` where none can be made.
fn upper_text(bytes: &[u8]) -> (Option<String>, bool) {
    let cut = cut(bytes);
    (text_above(&String::from_utf8_lossy(bytes), cut), cut == bytes.len())
}
