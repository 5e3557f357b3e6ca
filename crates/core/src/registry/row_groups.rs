//! Bounds of the row groups of a file that has several, packed for `file_bounds.row_groups`: a value
//! of its file, where a row for each group would cost a sync more than reading the footer.
//!
//! ```text
//! header   row groups G, then where each block begins and the last one ends: u32 each
//! block 0  rows i64, of each group
//! block p  of the column at position p of the schema, for each group: NULLs i32; unknown: -1; then
//!     int    min i64, max i64; unknown: i64::MAX as min, i64::MIN as max
//!     float  min f64, max f64; unknown: NaN
//!     text   exact u8, then min and max: length i32; unknown: -1; bytes
//! ```
//! Big endian, as `row_group_bounds` (V26) reads it in SQL. Blocks lie apart so that a question takes
//! those of its columns only.

use super::resolve::Kind;
use crate::bounds::{Bounds, Value};
use crate::footer::{self, Ends, Footer, Packed};

/// What takes more is not kept: then its groups are unknown.
const MOST_BYTES: usize = 64 << 20;

/// Packs the bounds of a file's row groups; `None` where it does not have several.
pub(crate) fn pack(footer: &Footer) -> Option<Vec<u8>> {
    let groups = &footer.groups;
    if groups.is_empty() {
        return None;
    }
    let places = footer.schema.columns().iter().filter_map(|column| {
        let position = column.position?.checked_sub(1)?;
        Some((position, column.kind, column.slot?.checked_sub(1)?))
    });
    let mut places: Vec<_> = places.collect();
    places.sort_unstable_by_key(|(position, ..)| *position);
    let header_bytes = 4 * (places.len() + 3);
    let group_bytes = 8 + 24 * places.len();
    let mut bytes = Vec::with_capacity(header_bytes + groups.len() * group_bytes);
    bytes.resize(header_bytes, 0);
    let mut ends = Vec::with_capacity(places.len() + 1);
    groups.iter().for_each(|group| bytes.extend(group.num_rows.to_be_bytes()));
    ends.push(bytes.len());
    for (position, kind, slot) in places {
        for group in groups {
            put(&mut bytes, group, position, kind, slot)?;
        }
        ends.push(bytes.len());
        if bytes.len() > MOST_BYTES {
            return None;
        }
    }
    let header = [groups.len(), header_bytes].into_iter().chain(ends);
    for (place, number) in bytes.chunks_exact_mut(4).zip(header) {
        place.copy_from_slice(&u32::try_from(number).ok()?.to_be_bytes());
    }
    Some(bytes)
}

/// What is known of a column in a row group.
fn put(
    bytes: &mut Vec<u8>,
    group: &Packed,
    position: usize,
    kind: footer::Kind,
    slot: usize,
) -> Option<()> {
    bytes.extend(group.null_count.get(position)?.unwrap_or(-1).to_be_bytes());
    match kind {
        footer::Kind::Text => {
            let Ends { min, max, is_exact } = group.texts.get(slot)?;
            bytes.push((*is_exact).into());
            for end in [min, max] {
                let length = end.as_ref().map_or(Some(-1), |text| i32::try_from(text.len()).ok());
                bytes.extend(length?.to_be_bytes());
                bytes.extend(end.as_deref().unwrap_or_default().as_bytes());
            }
        }
        footer::Kind::Float => {
            let Ends { min, max, .. } = group.floats.get(slot)?;
            bytes.extend(min.unwrap_or(f64::NAN).to_be_bytes());
            bytes.extend(max.unwrap_or(f64::NAN).to_be_bytes());
        }
        _ => {
            let Ends { min, max, .. } = group.ints.get(slot)?;
            bytes.extend(min.unwrap_or(i64::MAX).to_be_bytes());
            bytes.extend(max.unwrap_or(i64::MIN).to_be_bytes());
        }
    }
    Some(())
}

/// Row groups of a file, unpacked.
pub(crate) struct RowGroups {
    /// Rows of each.
    pub(crate) num_rows: Vec<i64>,
    /// Bounds of each column that was asked for, in each group.
    columns: Vec<Vec<Bounds>>,
}

impl RowGroups {
    /// Of the block of rows, and of blocks of columns with their kinds; a column without a block is
    /// unknown.
    pub(crate) fn unpack<'a>(
        rows: &[u8],
        blocks: impl Iterator<Item = (Option<&'a [u8]>, Kind)>,
        holds_no_nan: bool,
    ) -> Self {
        let mut rows = Bytes(rows);
        let num_rows: Vec<i64> = std::iter::from_fn(|| rows.int()).collect();
        let column = |(block, kind): (Option<&[u8]>, Kind)| {
            let mut bytes = Bytes(block.unwrap_or_default());
            let next = || bytes.bounds(kind, holds_no_nan);
            std::iter::from_fn(next).take(num_rows.len()).collect()
        };
        let columns = blocks.map(column).collect();
        Self { num_rows, columns }
    }

    /// Bounds of a column, by its place among those asked for, in a group.
    pub(crate) fn of(&self, column: usize, group: usize) -> &Bounds {
        self.columns.get(column).and_then(|groups| groups.get(group)).unwrap_or(&UNKNOWN)
    }
}

const UNKNOWN: Bounds =
    Bounds { min: None, max: None, is_exact: false, null_count: None, has_nan: None };

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn int(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    /// A float; NaN is none.
    fn float(&mut self) -> Option<Option<Value>> {
        let value = f64::from_be_bytes(self.take()?);
        Some(Some(value).filter(|value| !value.is_nan()).map(Value::Float))
    }

    fn text(&mut self) -> Option<Option<Value>> {
        let length = i32::from_be_bytes(self.take()?);
        let Ok(length) = usize::try_from(length) else { return Some(None) };
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(std::str::from_utf8(text).ok().map(|text| Value::Text(text.to_owned())))
    }

    /// What is known of a column in the next group.
    fn bounds(&mut self, kind: Kind, holds_no_nan: bool) -> Option<Bounds> {
        let null_count = u64::try_from(i32::from_be_bytes(self.take()?)).ok();
        let known = Bounds { null_count, has_nan: Some(false), ..UNKNOWN };
        Some(match kind {
            Kind::Int | Kind::Bool => {
                let (min, max) = (self.int()?, self.int()?);
                let value = |value: i64| match kind {
                    Kind::Bool => Value::Bool(value != 0),
                    _ => Value::Int(value.into()),
                };
                let min = Some(min).filter(|min| *min != i64::MAX).map(value);
                let max = Some(max).filter(|max| *max != i64::MIN).map(value);
                Bounds { min, max, ..known }
            }
            Kind::Float => {
                let has_nan = holds_no_nan.then_some(false);
                Bounds { min: self.float()?, max: self.float()?, has_nan, ..known }
            }
            Kind::Text => {
                let [is_exact] = self.take()?;
                let is_exact = is_exact != 0;
                Bounds { min: self.text()?, max: self.text()?, is_exact, ..known }
            }
            Kind::Other => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends<T>(min: Option<T>, max: Option<T>) -> Ends<T> {
        Ends { min, max, is_exact: true }
    }

    fn group(number: i64) -> Packed {
        let text = |end: &str| Some(format!("{end}{number}"));
        Packed {
            num_rows: number,
            null_count: vec![Some(0), None, Some(2), Some(3)],
            ints: vec![ends(Some(-number), None), ends(Some(0), Some(1))],
            floats: vec![ends(Some(-0.0), Some(f64::INFINITY))],
            texts: vec![ends(text("ä"), None)],
        }
    }

    fn put_all(kind: footer::Kind, position: usize, slot: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        (1..4)
            .for_each(|number| put(&mut bytes, &group(number), position, kind, slot).expect("it"));
        bytes
    }

    #[test]
    fn what_is_packed_comes_back() {
        let blocks = [
            (put_all(footer::Kind::Int, 0, 0), Kind::Int),
            (put_all(footer::Kind::Bool, 1, 1), Kind::Bool),
            (put_all(footer::Kind::Float, 2, 0), Kind::Float),
            (put_all(footer::Kind::Text, 3, 0), Kind::Text),
        ];
        let rows: Vec<u8> = (1..4_i64).flat_map(i64::to_be_bytes).collect();
        let unpacked = |holds_no_nan| {
            let blocks = blocks.iter().map(|(block, kind)| (Some(block.as_slice()), *kind));
            RowGroups::unpack(&rows, blocks.chain([(None, Kind::Other)]), holds_no_nan)
        };
        let groups = unpacked(true);
        assert_eq!(groups.num_rows, [1, 2, 3]);
        for (group, number) in [(0, 1), (2, 3)] {
            let known = Bounds { null_count: Some(0), has_nan: Some(false), ..UNKNOWN };
            let int = Bounds { min: Some(Value::Int(-number)), ..known.clone() };
            assert_eq!(groups.of(0, group), &int);
            let (min, max) = (Some(Value::Bool(false)), Some(Value::Bool(true)));
            assert_eq!(
                groups.of(1, group),
                &Bounds { min, max, null_count: None, ..known.clone() }
            );
            let (min, max) = (Some(Value::Float(-0.0)), Some(Value::Float(f64::INFINITY)));
            let float = Bounds { min, max, null_count: Some(2), ..known.clone() };
            assert_eq!(groups.of(2, group), &float);
            assert_eq!(unpacked(false).of(2, group), &Bounds { has_nan: None, ..float });
            let min = Some(Value::Text(format!("ä{number}")));
            let text = Bounds { min, is_exact: true, null_count: Some(3), ..known };
            assert_eq!(groups.of(3, group), &text);
        }
        // what is not there is not known: another group, another column, one without a block
        for (column, group) in [(0, 3), (4, 0), (5, 0)] {
            assert_eq!(groups.of(column, group), &UNKNOWN);
        }
    }

    #[test]
    fn what_is_cut_short_tells_less_and_nothing_wrong() {
        for (kind, of) in [(footer::Kind::Text, Kind::Text), (footer::Kind::Float, Kind::Float)] {
            let position = if of == Kind::Text { 3 } else { 2 };
            let block = put_all(kind, position, 0);
            let rows: Vec<u8> = (1..4_i64).flat_map(i64::to_be_bytes).collect();
            let unpack = |block| RowGroups::unpack(&rows, [(Some(block), of)].into_iter(), true);
            let whole = unpack(&block[..]);
            for length in 0..block.len() {
                let part = unpack(&block[..length]);
                for group in 0..3 {
                    let known = part.of(0, group);
                    assert!(known == whole.of(0, group) || known == &UNKNOWN, "{length} {group}");
                }
            }
            // nor are there more groups than the first block has rows
            let few = RowGroups::unpack(&rows[..20], [(Some(&block[..]), of)].into_iter(), true);
            assert_eq!((few.num_rows.len(), few.of(0, 2)), (2, &UNKNOWN));
        }
    }
}
