//! The bounds of the columns that most questions are about, packed for `file_registry.promoted`:
//! of the file, then of each row group where there are several.
//!
//! ```text
//! entry   rows u32, then for each column of [`COLUMNS`] in order: min, max
//! int     i64; unknown: i64::MAX as min, i64::MIN as max
//! float   f32, rounded outward; unknown: NaN
//! text    length u8, bytes; unknown: 255
//! ```
//! Little endian. Every end is a bound, never a promise: see [`crate::bounds`].

use crate::bounds::{Bounds, Value};
use crate::footer::{Ends, Footer, Kind};
use crate::narrow;
use crate::occupancy::CLASSES;
use std::borrow::Cow;

/// What of a file is packed, in this order.
pub(crate) const COLUMNS: [(&str, Kind); 8] = [
    ("_healpix_29", Kind::Int),
    ("target_id", Kind::Int),
    ("zwarn", Kind::Int),
    ("ra", Kind::Float),
    ("dec", Kind::Float),
    ("z", Kind::Float),
    ("deltachi2", Kind::Float),
    ("spectype", Kind::Text),
];

const UNKNOWN_TEXT: u8 = 255;

/// Packs a file's bounds, given the columns' slots; nothing where the numbers do not fit.
pub(crate) fn pack(footer: &Footer, slots: [usize; COLUMNS.len()]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(100 * (footer.groups.len() + 1));
    for entry in std::iter::once(&footer.bounds).chain(&footer.groups) {
        bytes.extend(u32::try_from(entry.num_rows).ok()?.to_le_bytes());
        for ((_, kind), slot) in COLUMNS.into_iter().zip(slots) {
            match kind {
                Kind::Int => put_int(&mut bytes, entry.ints.get(slot)?),
                Kind::Float => put_float(&mut bytes, entry.floats.get(slot)?),
                _ => put_text(&mut bytes, entry.texts.get(slot)?),
            }
        }
    }
    Some(bytes)
}

fn put_int(bytes: &mut Vec<u8>, ends: &Ends<i64>) {
    bytes.extend(ends.min.unwrap_or(i64::MAX).to_le_bytes());
    bytes.extend(ends.max.unwrap_or(i64::MIN).to_le_bytes());
}

fn put_float(bytes: &mut Vec<u8>, ends: &Ends<f64>) {
    bytes.extend(ends.min.map_or(f32::NAN, narrow::below).to_le_bytes());
    bytes.extend(ends.max.map_or(f32::NAN, narrow::above).to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, ends: &Ends<String>) {
    for end in [&ends.min, &ends.max] {
        match end {
            Some(text) if text.len() < usize::from(UNKNOWN_TEXT) => {
                bytes.push(text.len() as u8);
                bytes.extend(text.as_bytes());
            }
            _ => bytes.push(UNKNOWN_TEXT),
        }
    }
}

/// Numbers among [`COLUMNS`]: they come first.
const NUMBERS: usize = 7;
const INTS: usize = 3;

/// A file or row group, unpacked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) num_rows: u32,
    ints: [(i64, i64); INTS],
    floats: [(f32, f32); NUMBERS - INTS],
    text: (Text, Text),
}

/// The end of a column of texts: mostly the name of a class, which has its place in the program.
type Text = Option<Cow<'static, str>>;

/// Bounds of an entry, of the columns that were asked for.
pub(crate) struct Asked {
    numbers: [Bounds; NUMBERS],
    text: Bounds,
}

impl Asked {
    /// Of a column by its place in [`COLUMNS`].
    pub(crate) fn get(&self, place: usize) -> &Bounds {
        self.numbers.get(place).unwrap_or(&self.text)
    }
}

impl Entry {
    /// Ends of a column of integers, by its place in [`COLUMNS`].
    pub(crate) fn ints(&self, place: usize) -> (Option<i64>, Option<i64>) {
        let (min, max) = self.ints.get(place).copied().unwrap_or((i64::MAX, i64::MIN));
        (Some(min).filter(|min| *min != i64::MAX), Some(max).filter(|max| *max != i64::MIN))
    }

    /// Ends of a column of floats, by its place in [`COLUMNS`].
    pub(crate) fn floats(&self, place: usize) -> (Option<f64>, Option<f64>) {
        let ends = place.checked_sub(INTS).and_then(|place| self.floats.get(place));
        let (min, max) = ends.copied().unwrap_or((f32::NAN, f32::NAN));
        let end = |end: f32| (!end.is_nan()).then(|| end.into());
        (end(min), end(max))
    }

    /// Ends of the column of texts.
    pub(crate) fn texts(&self) -> (Option<&str>, Option<&str>) {
        (self.text.0.as_deref(), self.text.1.as_deref())
    }

    /// An entry whose columns all have the same ends.
    #[cfg(test)]
    pub(crate) fn like(num_rows: u32, (min, max): (Option<f64>, Option<f64>)) -> Self {
        let int = (min.map_or(i64::MAX, |v| v as i64), max.map_or(i64::MIN, |v| v as i64));
        let float = (min.map_or(f32::NAN, narrow::below), max.map_or(f32::NAN, narrow::above));
        let text = |end: Option<f64>| end.map(|end| Cow::from(end.to_string()));
        // numbers below zero are in another order as texts
        let (first, last) = (text(min), text(max));
        let is_sorted = first.as_ref().zip(last.as_ref()).is_some_and(|(a, b)| a <= b);
        let text = if is_sorted { (first, last) } else { (None, None) };
        Self { num_rows, ints: [int; INTS], floats: [float; NUMBERS - INTS], text }
    }

    /// Bounds of columns by their places in [`COLUMNS`]; of others, nothing.
    pub(crate) fn bounds(&self, places: &[usize]) -> Asked {
        let mut numbers = [const { UNKNOWN }; NUMBERS];
        for place in places.iter().copied().filter(|place| *place < NUMBERS) {
            (numbers[place].min, numbers[place].max) = if place < INTS {
                let (min, max) = self.ints(place);
                let value = |value: i64| Value::Int(value.into());
                (min.map(value), max.map(value))
            } else {
                let (min, max) = self.floats(place);
                (min.map(Value::Float), max.map(Value::Float))
            };
        }
        let text = |end: &Text| end.as_deref().map(|end| Value::Text(end.to_owned()));
        let (min, max) = match places.contains(&NUMBERS) {
            true => (text(&self.text.0), text(&self.text.1)),
            false => (None, None),
        };
        Asked { numbers, text: Bounds { min, max, ..UNKNOWN } }
    }
}

/// Nothing is known of the values, but that there is no NaN: only our own files are packed.
const UNKNOWN: Bounds =
    Bounds { min: None, max: None, is_exact: false, null_count: None, has_nan: Some(false) };

/// Unpacks what was packed, of the file first; stops where it makes no sense.
pub(crate) fn unpack(mut bytes: &[u8]) -> Box<[Entry]> {
    std::iter::from_fn(|| Bytes(&mut bytes).entry()).collect()
}

struct Bytes<'a, 'b>(&'b mut &'a [u8]);

impl Bytes<'_, '_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        *self.0 = rest;
        Some(*taken)
    }

    fn int(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }

    fn float(&mut self) -> Option<f32> {
        self.take().map(f32::from_le_bytes)
    }

    fn text(&mut self) -> Option<Text> {
        let [length] = self.take()?;
        if length == UNKNOWN_TEXT {
            return Some(None);
        }
        let (text, rest) = self.0.split_at_checked(usize::from(length))?;
        *self.0 = rest;
        let class = CLASSES.into_iter().find(|class| class.as_bytes() == text);
        let other = || std::str::from_utf8(text).ok().map(|text| text.to_owned().into());
        Some(class.map(Cow::Borrowed).or_else(other))
    }

    fn entry(&mut self) -> Option<Entry> {
        let num_rows = u32::from_le_bytes(self.take()?);
        let mut entry = Entry {
            num_rows,
            ints: [(i64::MAX, i64::MIN); INTS],
            floats: [(f32::NAN, f32::NAN); NUMBERS - INTS],
            text: (None, None),
        };
        for ends in &mut entry.ints {
            *ends = (self.int()?, self.int()?);
        }
        for ends in &mut entry.floats {
            *ends = (self.float()?, self.float()?);
        }
        entry.text = (self.text()?, self.text()?);
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_encloses() {
        let mut bytes = 7_u32.to_le_bytes().to_vec();
        put_int(&mut bytes, &Ends { min: Some(3), max: None, is_exact: true });
        put_int(&mut bytes, &Ends { min: Some(i64::MIN), max: Some(i64::MAX), is_exact: true });
        put_int(&mut bytes, &Ends { min: None, max: None, is_exact: false });
        for (min, max) in [(0.1, 0.3), (-0.1, 1e-300), (f64::NEG_INFINITY, f64::MAX)] {
            put_float(&mut bytes, &Ends { min: Some(min), max: Some(max), is_exact: true });
        }
        put_float(&mut bytes, &Ends { min: None, max: Some(2.0), is_exact: false });
        let text = Ends { min: Some("GALAXY".to_owned()), max: None, is_exact: true };
        put_text(&mut bytes, &text);
        let entries = unpack(&bytes);
        let [entry @ Entry { num_rows: 7, .. }] = &entries[..] else { panic!("{entries:?}") };
        let bounds = entry.bounds(&[0, 1, 2, 3, 4, 5, 6, 7]);
        let ends = |place: usize| (bounds.get(place).min.clone(), bounds.get(place).max.clone());
        assert_eq!(ends(0), (Some(Value::Int(3)), None));
        assert_eq!(ends(1).0, Some(Value::Int(i64::MIN.into())));
        assert_eq!(ends(2), (None, None));
        for (place, (min, max)) in
            [(3, (0.1, 0.3)), (4, (-0.1, 1e-300)), (5, (f64::NEG_INFINITY, f64::MAX))]
        {
            let (Some(Value::Float(low)), Some(Value::Float(high))) = ends(place) else {
                panic!("{place}")
            };
            assert!(low <= min && max <= high, "{low} {min} {max} {high}");
        }
        assert_eq!(ends(6), (None, Some(Value::Float(2.0))));
        assert_eq!(ends(7), (Some(Value::Text("GALAXY".into())), None));
        // cut short, it tells less and nothing wrong
        for length in 0..bytes.len() {
            assert_eq!(unpack(&bytes[..length]).len(), 0, "{length}");
        }
        let few = entry.bounds(&[7]);
        assert!((0..7).all(|place| few.get(place) == &UNKNOWN));
        assert_eq!(few.get(7).min, ends(7).0);
        for (place, (_, kind)) in COLUMNS.into_iter().enumerate() {
            let expected = match place {
                0..INTS => Kind::Int,
                INTS..NUMBERS => Kind::Float,
                _ => Kind::Text,
            };
            assert_eq!(kind, expected, "{place}");
        }
    }
}
