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
    bytes.extend(ends.min.map_or(f32::NAN, below).to_le_bytes());
    bytes.extend(ends.max.map_or(f32::NAN, above).to_le_bytes());
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

/// The largest float of 32 bits that is not above.
fn below(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) > value { near.next_down() } else { near }
}

fn above(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) < value { near.next_up() } else { near }
}

/// A file or row group, unpacked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) num_rows: u32,
    /// In the order of [`COLUMNS`]; only of those that were asked for.
    pub(crate) bounds: [Option<Bounds>; COLUMNS.len()],
}

/// Reads what was packed, of the file first; stops where it makes no sense.
pub(crate) struct Entries<'a> {
    bytes: &'a [u8],
    asked: [bool; COLUMNS.len()],
}

impl<'a> Entries<'a> {
    pub(crate) fn new(bytes: &'a [u8], asked: [bool; COLUMNS.len()]) -> Self {
        Self { bytes, asked }
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*taken)
    }

    fn text(&mut self) -> Option<Option<&'a str>> {
        let [length] = self.take()?;
        if length == UNKNOWN_TEXT {
            return Some(None);
        }
        let (text, rest) = self.bytes.split_at_checked(usize::from(length))?;
        self.bytes = rest;
        Some(std::str::from_utf8(text).ok())
    }

    fn one(&mut self, kind: Kind, is_asked: bool) -> Option<Option<Bounds>> {
        let (min, max) = match kind {
            Kind::Int => {
                let (min, max) = (self.take().map(i64::from_le_bytes)?, self.take()?);
                let max = i64::from_le_bytes(max);
                let value = |value: i64| Value::Int(value.into());
                let min_known = (min != i64::MAX).then(|| value(min));
                (min_known, (max != i64::MIN).then(|| value(max)))
            }
            Kind::Float => {
                let (min, max) = (self.take().map(f32::from_le_bytes)?, self.take()?);
                let max = f32::from_le_bytes(max);
                let value = |value: f32| (!value.is_nan()).then(|| Value::Float(value.into()));
                (value(min), value(max))
            }
            _ => {
                let (min, max) = (self.text()?, self.text()?);
                if !is_asked {
                    return Some(None);
                }
                let value = |text: Option<&str>| text.map(|text| Value::Text(text.to_owned()));
                (value(min), value(max))
            }
        };
        // only our own files are packed, and they hold none
        let has_nan = Some(false);
        Some(is_asked.then_some(Bounds { min, max, has_nan, ..Bounds::default() }))
    }

    fn entry(&mut self) -> Option<Entry> {
        let num_rows = u32::from_le_bytes(self.take()?);
        let mut bounds = [const { None }; COLUMNS.len()];
        for (place, (_, kind)) in COLUMNS.into_iter().enumerate() {
            bounds[place] = self.one(kind, self.asked[place])?;
        }
        Some(Entry { num_rows, bounds })
    }
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        self.entry()
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
        let entries: Vec<Entry> = Entries::new(&bytes, [true; 8]).collect();
        let [Entry { num_rows: 7, bounds }] = &entries[..] else { panic!("{entries:?}") };
        let ends = |place: usize| bounds[place].clone().map(|b| (b.min, b.max)).expect("asked");
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
            assert_eq!(Entries::new(&bytes[..length], [true; 8]).count(), 0, "{length}");
        }
        let few = Entries::new(&bytes, [false; 8]).next().expect("an entry");
        assert!(few.bounds.iter().all(Option::is_none));
    }
}
