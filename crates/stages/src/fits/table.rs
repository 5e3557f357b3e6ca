//! Binary tables: the columns that are asked for, by name, in one pass over the rows.

use super::{Error, Hdu};
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Rows are read in pieces of about this size.
const PIECE_BYTES: usize = 1 << 20;

/// Where a column lies in a row, and what its bytes mean.
#[derive(Debug, Clone)]
struct Column {
    code: u8,
    repeat: usize,
    offset: usize,
    width: usize,
    zero: f64,
    scale: f64,
    null: Option<i64>,
}

/// A binary table.
#[derive(Debug)]
pub struct Table {
    file: Arc<File>,
    name: String,
    offset: u64,
    row_bytes: usize,
    rows: usize,
    columns: HashMap<String, Column>,
}

impl Table {
    pub(super) fn new(file: Arc<File>, hdu: &Hdu) -> Result<Self, Error> {
        let header = &hdu.header;
        if !hdu.is_table() {
            return Err(Error::Form {
                hdu: hdu.name.clone(),
                found: "no binary table".into(),
                wanted: "one",
            });
        }
        let size = |keyword: &str| {
            usize::try_from(header.size(keyword)?).map_err(|_| Error::Card(keyword.to_owned()))
        };
        let row_bytes = size("NAXIS1")?;
        let mut columns = HashMap::new();
        let mut offset = 0usize;
        for i in 1..=size("TFIELDS")?.min(999) {
            let form = header.text(&format!("TFORM{i}"));
            let (code, repeat, width) =
                form.and_then(parse_form).ok_or_else(|| Error::Card(format!("TFORM{i}")))?;
            let name = header.text(&format!("TTYPE{i}")).unwrap_or_default().to_ascii_uppercase();
            let end = offset.checked_add(width).filter(|end| *end <= row_bytes);
            let end = end.ok_or_else(|| Error::Column(name.clone()))?;
            let column = Column {
                code,
                repeat,
                offset,
                width,
                zero: header.real(&format!("TZERO{i}")).unwrap_or(0.0),
                scale: header.real(&format!("TSCAL{i}")).unwrap_or(1.0),
                null: header.integer(&format!("TNULL{i}")),
            };
            columns.entry(name).or_insert(column);
            offset = end;
        }
        let rows = size("NAXIS2")?;
        Ok(Self { file, name: hdu.name.clone(), offset: hdu.offset, row_bytes, rows, columns })
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Names of the columns, in upper case, in no order that means anything.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.columns.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Whether a column is there.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    /// Reads the columns of these names; those that are not there are left out.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read(&self, names: &[&str]) -> Result<Columns, Error> {
        let mut wanted: Vec<(&str, Column, Vec<u8>)> = names
            .iter()
            .filter_map(|name| {
                let column = self.columns.get(*name)?.clone();
                let bytes = Vec::with_capacity(column.width * self.rows);
                Some((*name, column, bytes))
            })
            .collect();
        let rows_a_piece = (PIECE_BYTES / self.row_bytes.max(1)).max(1);
        let mut piece = Vec::new();
        let mut row = 0;
        while row < self.rows && !wanted.is_empty() {
            let count = rows_a_piece.min(self.rows - row);
            piece.resize(count * self.row_bytes, 0);
            self.file.read_exact_at(&mut piece, self.offset + (row * self.row_bytes) as u64)?;
            for (_, column, bytes) in &mut wanted {
                for row in piece.chunks_exact(self.row_bytes.max(1)) {
                    bytes.extend_from_slice(&row[column.offset..column.offset + column.width]);
                }
            }
            row += count;
        }
        let columns = wanted
            .into_iter()
            .map(|(name, column, bytes)| (name.to_owned(), (column, bytes)))
            .collect();
        Ok(Columns { table: self.name.clone(), rows: self.rows, columns })
    }
}

/// (type code, repeat, width in bytes) of a TFORM such as `20A` or `10D`.
fn parse_form(form: &str) -> Option<(u8, usize, usize)> {
    let form = form.trim();
    let digits = form.bytes().take_while(u8::is_ascii_digit).count();
    let repeat = if digits == 0 { 1 } else { form[..digits].parse().ok()? };
    let code = *form.as_bytes().get(digits)?;
    let item: usize = match code {
        b'L' | b'B' | b'A' => 1,
        b'I' => 2,
        b'J' | b'E' => 4,
        b'K' | b'D' | b'C' | b'P' => 8,
        b'M' | b'Q' => 16,
        b'X' => return Some((code, repeat, repeat.div_ceil(8))),
        _ => return None,
    };
    Some((code, repeat, item.checked_mul(repeat)?))
}

/// Columns in memory, as bytes until they are asked for as numbers or text.
#[derive(Debug)]
pub struct Columns {
    table: String,
    rows: usize,
    columns: HashMap<String, (Column, Vec<u8>)>,
}

impl Columns {
    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether a column was there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.columns.contains_key(name)
    }

    fn column(&self, name: &str) -> Result<&(Column, Vec<u8>), Error> {
        self.columns.get(name).ok_or_else(|| Error::Missing(format!("{name} in {}", self.table)))
    }

    fn form_error(&self, name: &str, wanted: &'static str) -> Error {
        let code = self.columns.get(name).map_or('?', |(column, _)| char::from(column.code));
        Error::Form {
            hdu: format!("{name} in {}", self.table),
            found: format!("of type {code}"),
            wanted,
        }
    }

    /// Whole numbers, one a row; `None` for the column's null value.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Form`] for anything but whole numbers that an `i64` holds, one a row.
    pub fn integers(&self, name: &str) -> Result<Vec<Option<i64>>, Error> {
        let (column, bytes) = self.column(name)?;
        let wrong = || self.form_error(name, "whole numbers");
        // of unsigned numbers of 64 bits it is more than an i64
        let zero = column.zero as i128;
        if column.repeat != 1 || column.scale != 1.0 || zero as f64 != column.zero {
            return Err(wrong());
        }
        let stored: Vec<i64> = match column.code {
            b'B' => bytes.iter().map(|b| i64::from(*b)).collect(),
            b'I' => items(bytes).map(|b| i64::from(i16::from_be_bytes(b))).collect(),
            b'J' => items(bytes).map(|b| i64::from(i32::from_be_bytes(b))).collect(),
            b'K' => items(bytes).map(i64::from_be_bytes).collect(),
            _ => return Err(wrong()),
        };
        let value = |n: i64| {
            let is_known = Some(n) != column.null;
            is_known.then(|| i64::try_from(i128::from(n) + zero)).transpose()
        };
        stored.into_iter().map(value).collect::<Result<_, _>>().map_err(|_| wrong())
    }

    /// Numbers, one a row; the null value becomes NaN.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Form`] for anything but numbers, one a row.
    pub fn reals(&self, name: &str) -> Result<Vec<f64>, Error> {
        match self.column(name)?.0.repeat {
            1 => self.vectors(name),
            _ => Err(self.form_error(name, "one number a row")),
        }
    }

    /// Numbers, [`Columns::repeat`] a row, row after row; the null value becomes NaN.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Form`] for anything but numbers.
    pub fn vectors(&self, name: &str) -> Result<Vec<f64>, Error> {
        let (column, bytes) = self.column(name)?;
        let whole = |n: i64| if Some(n) == column.null { f64::NAN } else { n as f64 };
        let mut values: Vec<f64> = match column.code {
            b'B' => bytes.iter().map(|b| whole(i64::from(*b))).collect(),
            b'I' => items(bytes).map(|b| whole(i64::from(i16::from_be_bytes(b)))).collect(),
            b'J' => items(bytes).map(|b| whole(i64::from(i32::from_be_bytes(b)))).collect(),
            b'K' => items(bytes).map(|b| whole(i64::from_be_bytes(b))).collect(),
            b'E' => items(bytes).map(|b| f64::from(f32::from_be_bytes(b))).collect(),
            b'D' => items(bytes).map(f64::from_be_bytes).collect(),
            _ => return Err(self.form_error(name, "numbers")),
        };
        if column.zero != 0.0 || column.scale != 1.0 {
            values.iter_mut().for_each(|x| *x = *x * column.scale + column.zero);
        }
        Ok(values)
    }

    /// Values a row of a column.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn repeat(&self, name: &str) -> Result<usize, Error> {
        Ok(self.column(name)?.0.repeat)
    }

    /// Text without trailing blanks and NULs, one a row.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Form`] for anything but text.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Error> {
        let (column, bytes) = self.column(name)?;
        if column.code != b'A' {
            return Err(self.form_error(name, "text"));
        }
        if column.width == 0 {
            return Ok(vec![String::new(); self.rows]);
        }
        let text = |field: &[u8]| {
            let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).trim_end().to_owned()
        };
        Ok(bytes.chunks_exact(column.width).map(text).collect())
    }
}

fn items<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{opened, part, primary};
    use super::*;

    fn table(forms: &[(&str, &str)], extra: &[&str], rows: usize, data: &[u8]) -> Vec<u8> {
        let mut cards = vec![
            "XTENSION= 'BINTABLE'".to_owned(),
            "BITPIX  = 8".to_owned(),
            "NAXIS   = 2".to_owned(),
            format!("NAXIS1  = {}", data.len().checked_div(rows).unwrap_or(0)),
            format!("NAXIS2  = {rows}"),
            format!("TFIELDS = {}", forms.len()),
            "EXTNAME = 'T'".to_owned(),
        ];
        for (i, (name, form)) in forms.iter().enumerate() {
            cards.push(format!("TTYPE{:<3}= '{name}'", i + 1));
            cards.push(format!("TFORM{:<3}= '{form}'", i + 1));
        }
        cards.extend(extra.iter().map(|c| (*c).to_owned()));
        part(&cards, data)
    }

    #[test]
    fn columns_are_read_by_name() {
        let mut data = Vec::new();
        for i in 0..3i64 {
            data.extend((i + 1).to_be_bytes());
            data.extend([b'A' + i as u8, b' ', 0]);
            data.extend((i as i16 - 1).to_be_bytes());
            data.extend((i as f32 * 0.5).to_be_bytes());
            data.extend((i as f32 * 0.25).to_be_bytes());
        }
        let forms = [("ID", "K"), ("NAME", "3A"), ("FLAG", "1I"), ("XY", "2E")];
        let extra = ["TNULL3  = 1", "TZERO3  = 32768"];
        let (_dir, fits) = opened(&[primary(), table(&forms, &extra, 3, &data)]);
        let fits = fits.expect("opened");
        let table = fits.table("T").expect("a table");
        let read = table.read(&["XY", "NAME", "ID", "FLAG", "GONE"]).expect("read");
        assert_eq!(read.integers("ID").expect("whole"), [Some(1), Some(2), Some(3)]);
        assert_eq!(read.texts("NAME").expect("text"), ["A", "B", "C"]);
        assert_eq!(read.integers("FLAG").expect("whole"), [Some(32767), Some(32768), None]);
        assert_eq!(read.vectors("XY").expect("numbers"), [0.0, 0.0, 0.5, 0.25, 1.0, 0.5]);
        assert!(matches!(read.integers("GONE"), Err(Error::Missing(_))));
        assert!(matches!(read.integers("XY"), Err(Error::Form { .. })));
        assert!(matches!(read.reals("XY"), Err(Error::Form { .. })));
        assert!(matches!(read.texts("ID"), Err(Error::Form { .. })));
    }

    #[test]
    fn unsigned_numbers_of_64_bits_are_themselves_or_refused() {
        let read = |numbers: &[u64]| {
            let stored = numbers.iter().flat_map(|n| (n ^ 1 << 63).to_be_bytes());
            let (data, extra) = (stored.collect::<Vec<u8>>(), ["TZERO1  = 9223372036854775808"]);
            let rows = numbers.len();
            let (_dir, fits) = opened(&[primary(), table(&[("ID", "K")], &extra, rows, &data)]);
            let table = fits.expect("opened").table("T").expect("a table");
            table.read(&["ID"]).expect("read").integers("ID")
        };
        let ids = read(&[0, 39_627_652_591_521_181, i64::MAX as u64]).expect("whole");
        assert_eq!(ids, [Some(0), Some(39_627_652_591_521_181), Some(i64::MAX)]);
        assert!(matches!(read(&[1 << 63]), Err(Error::Form { .. })));
    }

    #[test]
    fn impossible_columns_are_refused() {
        for (form, rows) in [("9K", 1), ("Z", 1), ("99999999999999999999K", 1), ("", 1)] {
            let (_dir, fits) = opened(&[primary(), table(&[("A", form)], &[], rows, &[0; 8])]);
            assert!(fits.expect("opened").table("T").is_err(), "{form} was taken");
        }
        let (_dir, fits) = opened(&[primary(), table(&[], &[], 0, &[])]);
        let fits = fits.expect("opened");
        assert_eq!(fits.table("T").expect("a table").read(&["A"]).expect("read").rows(), 0);
    }
}
