//! Least and greatest values of the scalar columns of a row group or of a file, packed as the
//! registry keeps them.
//!
//! Unknown is `None`, and unknown means *keep*: whatever is doubtful (a NaN, an order that is not
//! the type's, a length that does not fit) becomes unknown, never a guess.

use super::schema::{Encoding, Leaf, Schema};
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
    /// Least values of integer and boolean columns.
    pub int_min: Vec<Option<i64>>,
    /// Greatest values of integer and boolean columns.
    pub int_max: Vec<Option<i64>>,
    /// Least values of floating-point columns, NaN aside.
    pub float_min: Vec<Option<f64>>,
    /// Greatest values of floating-point columns, NaN aside.
    pub float_max: Vec<Option<f64>>,
    /// Texts that no value is less than, byte order.
    pub text_min: Vec<Option<String>>,
    /// Texts that no value is greater than, byte order.
    pub text_max: Vec<Option<String>>,
    /// Whether both texts are values of the column.
    pub text_exact: Vec<bool>,
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
    /// where signed comparison is not the type's (`strict`), only the new fields of a file that
    /// declares its orders count.
    fn range(&self, strict: bool, ordered: bool) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
        match (self.min, self.max) {
            (None, None) if !strict => (self.old_min, self.old_max),
            _ if strict && !ordered => (None, None),
            new => new,
        }
    }
}

impl Packed {
    /// Bounds of which nothing is known yet.
    pub(super) fn unknown(schema: &Schema) -> Self {
        let slots = schema.slots();
        Self {
            num_rows: 0,
            null_count: vec![None; slots.positions],
            int_min: vec![None; slots.ints],
            int_max: vec![None; slots.ints],
            float_min: vec![None; slots.floats],
            float_max: vec![None; slots.floats],
            text_min: vec![None; slots.texts],
            text_max: vec![None; slots.texts],
            text_exact: vec![false; slots.texts],
        }
    }

    /// Takes up a column's statistics.
    pub(super) fn note(&mut self, leaf: &Leaf, found: &Statistics<'_>, ordered: bool) {
        let Some(scalar) = leaf.scalar else { return };
        let (slot, encoding) = (scalar.slot, scalar.encoding);
        self.null_count[scalar.position] = match found.null_count {
            None if !leaf.nullable => Some(0),
            count => count.and_then(|n| i32::try_from(n).ok()),
        };
        match encoding {
            Encoding::Text => {
                let (min, max) = found.range(true, ordered);
                let (min, min_whole) = min.map_or((None, false), lower_text);
                let (max, max_whole) = max.map_or((None, false), upper_text);
                self.text_exact[slot] =
                    min_whole && max_whole && found.min_is_exact && found.max_is_exact;
                (self.text_min[slot], self.text_max[slot]) = (min, max);
            }
            Encoding::Half | Encoding::Float | Encoding::Double => {
                let (min, max) = found.range(encoding == Encoding::Half, ordered);
                let read = |bytes: Option<&[u8]>| bytes.and_then(|b| float(encoding, b));
                (self.float_min[slot], self.float_max[slot]) = in_order(read(min), read(max));
            }
            _ => {
                let (min, max) = found.range(encoding.is_unsigned(), ordered);
                let read = |bytes: Option<&[u8]>| bytes.and_then(|b| int(encoding, b));
                let (min, max) = in_order(read(min), read(max));
                // beyond i64 a greatest value is unknown, and so is a least one
                let fits = |n: i128| i64::try_from(n).ok();
                (self.int_min[slot], self.int_max[slot]) = (min.and_then(fits), max.and_then(fits));
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
        if let [only] = groups {
            return only.clone();
        }
        let mut whole = Self::unknown(schema);
        // the row counts were added up without overflow when the footer was decoded
        whole.num_rows = groups.iter().map(|g| g.num_rows).sum();
        for leaf in schema.leaves() {
            let Some(scalar) = leaf.scalar else { continue };
            let (slot, position) = (scalar.slot, scalar.position);
            whole.null_count[position] =
                groups.iter().try_fold(0i32, |sum, g| sum.checked_add(g.null_count[position]?));
            let filled = || groups.iter().filter(|g| !g.is_void(position));
            match scalar.encoding {
                Encoding::Text => {
                    whole.text_min[slot] =
                        fold(filled().map(|g| g.text_min[slot].clone()), Ord::min);
                    whole.text_max[slot] =
                        fold(filled().map(|g| g.text_max[slot].clone()), Ord::max);
                    whole.text_exact[slot] =
                        whole.text_min[slot].is_some() && filled().all(|g| g.text_exact[slot]);
                }
                Encoding::Half | Encoding::Float | Encoding::Double => {
                    whole.float_min[slot] = fold(filled().map(|g| g.float_min[slot]), f64::min);
                    whole.float_max[slot] = fold(filled().map(|g| g.float_max[slot]), f64::max);
                }
                _ => {
                    whole.int_min[slot] = fold(filled().map(|g| g.int_min[slot]), Ord::min);
                    whole.int_max[slot] = fold(filled().map(|g| g.int_max[slot]), Ord::max);
                }
            }
        }
        whole
    }
}

/// Folds known bounds; one unknown makes all unknown.
fn fold<T>(bounds: impl Iterator<Item = Option<T>>, pick: impl Fn(T, T) -> T) -> Option<T> {
    let mut picked = None;
    for bound in bounds {
        let bound = bound?;
        picked = Some(match picked {
            None => bound,
            Some(other) => pick(other, bound),
        });
    }
    picked
}

/// A range whose ends are the wrong way round says nothing.
fn in_order<T: PartialOrd>(min: Option<T>, max: Option<T>) -> (Option<T>, Option<T>) {
    match (&min, &max) {
        (Some(a), Some(b)) if a > b => (None, None),
        _ => (min, max),
    }
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
