//! Multi-order coverage maps of the IVOA: any part of the sky as HEALPix cells.
//!
//! FITS is read by the crate of those who made the standard. ASCII, JSON and the cells of the standard's
//! first version in FITS are a few numbers: they are read here, strictly, since a number that is no cell
//! must not become another one, and no cell may be left out.

use super::cover::{append, share};
use super::{Error, ORDER, healpix_29, range_of};
use crate::guard::guard;
use ::moc::deser::fits::{MocIdxType, MocQtyType, from_fits_ivoa};
use ::moc::moc::range::RangeMOC;
use ::moc::qty::Hpx;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

/// A MOC in space.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moc {
    ranges: Vec<Range<i64>>,
}

impl Moc {
    /// Reads a file: FITS, JSON or ASCII, told apart by how it begins.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Moc`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let failed = |reason: String| Error::File { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
        if bytes.starts_with(b"SIMPLE") {
            return Self::of_fits(&bytes).map_err(failed);
        }
        let text =
            str::from_utf8(&bytes).map_err(|_| failed("it is neither FITS nor text".into()))?;
        text.parse().map_err(|error| match error {
            Error::Moc(reason) => failed(reason),
            error => error,
        })
    }

    fn of_fits(bytes: &[u8]) -> Result<Self, String> {
        if let Some(ranges) = nuniq(bytes) {
            return Ok(Self::of_ranges(ranges?));
        }
        type Found = Option<RangeMOC<u64, Hpx<u64>>>;
        let read = || -> Result<Found, String> {
            let moc = from_fits_ivoa(bytes).map_err(|e| e.to_string())?;
            Ok(match moc {
                MocIdxType::U16(MocQtyType::Hpx(moc)) => Some(moc.collect_to_u64()),
                MocIdxType::U32(MocQtyType::Hpx(moc)) => Some(moc.collect_to_u64()),
                MocIdxType::U64(MocQtyType::Hpx(moc)) => Some(moc.collect_to_u64()),
                _ => None,
            })
        };
        let moc = guard(read).map_err(|panicked| panicked.to_string())??;
        let moc = moc.ok_or("it is a MOC of time or frequency, not of the sky")?;
        let all = range_of(0, 0).start..range_of(0, 11).end;
        let ranges = moc.moc_ranges().ranges().0.iter().map(|range| {
            let ends = (i64::try_from(range.start), i64::try_from(range.end));
            match ends {
                (Ok(first), Ok(end)) if first < end && end <= all.end => Ok(first..end),
                _ => Err(format!("it has cells that do not exist: {range:?} of order {ORDER}")),
            }
        });
        Ok(Self::of_ranges(ranges.collect::<Result<_, _>>()?))
    }

    /// Of order-29 ranges in any order.
    #[must_use]
    pub fn of_ranges(mut ranges: Vec<Range<i64>>) -> Self {
        ranges.sort_by_key(|range| range.start);
        let mut merged = Vec::new();
        ranges.into_iter().for_each(|range| append(&mut merged, range));
        Self { ranges: merged }
    }

    /// Of cells of an order.
    #[must_use]
    pub fn of_cells(order: u8, cells: impl IntoIterator<Item = u64>) -> Self {
        Self::of_ranges(cells.into_iter().map(|cell| range_of(order, cell)).collect())
    }

    /// The largest cells that it is made of, each with its order, along the curve.
    pub fn cells(&self) -> impl Iterator<Item = (u8, u64)> + '_ {
        self.ranges.iter().flat_map(|range| {
            let (mut first, end) = (range.start.cast_unsigned(), range.end.cast_unsigned());
            std::iter::from_fn(move || {
                // the largest cell that starts here and ends in time
                let fits =
                    |shift: &u32| first.trailing_zeros() >= *shift && first + (1 << shift) <= end;
                let shifts = (0..=u32::from(ORDER)).rev().map(|up| 2 * up);
                let shift = shifts.filter(|_| first < end).find(fits)?;
                let cell = first >> shift;
                first += 1 << shift;
                Some((ORDER - (shift / 2) as u8, cell))
            })
        })
    }

    /// Order-29 ranges, sorted and apart from each other.
    #[must_use]
    pub fn ranges(&self) -> &[Range<i64>] {
        &self.ranges
    }

    /// Whether a position (degrees) lies in one of its cells.
    #[must_use]
    pub fn contains(&self, ra_deg: f64, dec_deg: f64) -> bool {
        let Some(cell) = healpix_29(ra_deg.rem_euclid(360.0), dec_deg) else { return false };
        let first = self.ranges.partition_point(|range| range.end <= cell);
        self.ranges.get(first).is_some_and(|range| range.start <= cell)
    }

    /// The share of the sky inside.
    #[must_use]
    pub fn share(&self) -> f64 {
        share(&self.ranges)
    }
}

/// First and last cell of an order as a range of order 29.
fn cells(order: u8, first: u64, last: u64) -> Result<Range<i64>, Error> {
    let exist = order <= ORDER && first <= last && last < 12 << (2 * order);
    if !exist {
        return Err(Error::Moc(format!("there are no cells {order}/{first}-{last}")));
    }
    Ok(range_of(order, first).start..range_of(order, last).end)
}

/// Cells in FITS as numbers that name their orders, 4 · 4^order + cell; none where it holds something else.
fn nuniq(bytes: &[u8]) -> Option<Result<Vec<Range<i64>>, String>> {
    const BLOCK: usize = 2880;
    // headers of the file and of its table, and what lies behind a header
    let header = |bytes: &'_ [u8]| -> Option<(HashMap<String, String>, usize)> {
        let cards = bytes.chunks_exact(80);
        let length = cards.clone().position(|card| card.starts_with(b"END     "))?;
        let value = |card: &[u8]| {
            let (name, value) = str::from_utf8(card).ok()?.split_once('=')?;
            let value = value.split('/').next()?.trim().trim_matches('\'');
            Some((name.trim_end().to_owned(), value.trim_end().to_owned()))
        };
        let values = cards.take(length).filter_map(value).collect();
        Some((values, ((length + 1) * 80).next_multiple_of(BLOCK)))
    };
    let (_, first) = header(bytes)?;
    let table = bytes.get(first..)?;
    let (about, data) = header(table)?;
    let is = |name: &str, wanted: &str| about.get(name).is_none_or(|value| value == wanted);
    let is_ours = is("MOCDIM", "SPACE") && is("TFIELDS", "1") && is("COORDSYS", "C");
    if about.get("ORDERING").is_none_or(|ordering| ordering != "NUNIQ") || !is_ours {
        return None;
    }
    let number = |name: &str| about.get(name)?.parse::<usize>().ok();
    let (Some(width @ (2 | 4 | 8)), Some(rows)) = (number("NAXIS1"), number("NAXIS2")) else {
        return Some(Err("its table has not one column of integers".to_owned()));
    };
    let end = rows.checked_mul(width).and_then(|length| length.checked_add(data));
    let Some(values) = end.and_then(|end| table.get(data..end)) else {
        return Some(Err("it is cut short".to_owned()));
    };
    let cell = |value: &[u8]| {
        let sign = if value.first().is_some_and(|byte| *byte > 0x7f) { -1 } else { 0 };
        let number = value.iter().fold(sign, |sum: i64, byte| sum << 8 | i64::from(*byte));
        let order = (number.max(4).ilog2() / 2 - 1) as u8;
        match number - (4 << (2 * order)) {
            first if number >= 4 && order <= ORDER => Ok(range_of(order, first.cast_unsigned())),
            _ => Err(format!("{number} is no cell's number")),
        }
    };
    // some programs fill up with zeros
    let values = values.chunks_exact(width).filter(|value| value.iter().any(|byte| *byte != 0));
    Some(values.map(cell).collect())
}

fn ascii(text: &str) -> Result<Vec<Range<i64>>, Error> {
    let wrong = |word: &str| Error::Moc(format!("'{word}' is not ORDER/CELLS as in 6/3,5-9 7/80"));
    let (mut order, mut ranges) = (None, Vec::new());
    for word in text.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty()) {
        let number = |digits: &str| digits.parse::<u64>().map_err(|_| wrong(word));
        let mut list = word;
        if let Some((digits, rest)) = word.split_once('/') {
            // a MOC of space may say so
            let digits = digits.strip_prefix('s').unwrap_or(digits);
            let deep = digits.parse::<u8>().ok().filter(|order| *order <= ORDER);
            (order, list) = (Some(deep.ok_or_else(|| wrong(word))?), rest);
        }
        let order = order.ok_or_else(|| wrong(word))?;
        if list.is_empty() {
            continue;
        }
        let (first, last) = list.split_once('-').unwrap_or((list, list));
        ranges.push(cells(order, number(first)?, number(last)?)?);
    }
    match order {
        Some(_) => Ok(ranges),
        None => Err(Error::Moc("it is empty".into())),
    }
}

fn json(text: &str) -> Result<Vec<Range<i64>>, Error> {
    let orders: BTreeMap<String, Vec<u64>> =
        serde_json::from_str(text).map_err(|e| Error::Moc(e.to_string()))?;
    let mut ranges = Vec::new();
    for (order, numbers) in &orders {
        let deep = order.parse::<u8>().ok().filter(|order| *order <= ORDER);
        let deep = deep.ok_or_else(|| Error::Moc(format!("'{order}' is no order")))?;
        for cell in numbers {
            ranges.push(cells(deep, *cell, *cell)?);
        }
    }
    Ok(ranges)
}

impl FromStr for Moc {
    type Err = Error;
    /// Of the ASCII or the JSON form.
    fn from_str(text: &str) -> Result<Self, Error> {
        let is_json = text.trim_start().starts_with('{');
        Ok(Self::of_ranges(if is_json { json(text)? } else { ascii(text)? }))
    }
}

/// The ASCII form.
impl fmt::Display for Moc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_order: BTreeMap<u8, Vec<Range<u64>>> = BTreeMap::new();
        for (order, cell) in self.cells() {
            let cells = by_order.entry(order).or_default();
            match cells.last_mut() {
                Some(last) if last.end == cell => last.end += 1,
                _ => cells.push(cell..cell + 1),
            }
        }
        if by_order.is_empty() {
            return write!(f, "0/");
        }
        for (i, (order, cells)) in by_order.iter().enumerate() {
            write!(f, "{}{order}/", if i == 0 { "" } else { " " })?;
            for (j, Range { start, end }) in cells.iter().enumerate() {
                let comma = if j == 0 { "" } else { "," };
                match end - start {
                    1 => write!(f, "{comma}{start}")?,
                    _ => write!(f, "{comma}{start}-{}", end - 1)?,
                }
            }
        }
        Ok(())
    }
}
