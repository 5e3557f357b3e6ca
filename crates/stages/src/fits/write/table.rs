//! Binary tables by column: name, unit and values stand together, rows are interleaved on writing.

use super::Header;

/// A value that a table cell can hold.
pub trait Cell: Copy {
    /// The letter of its `TFORM`.
    const FORM: char;
    /// Appends its big-endian bytes.
    fn put(self, bytes: &mut Vec<u8>);
}

macro_rules! cells {
    ($($type:ty => $form:literal),*) => {$(
        impl Cell for $type {
            const FORM: char = $form;
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_be_bytes());
            }
        }
    )*};
}
cells!(u8 => 'B', i16 => 'I', i32 => 'J', i64 => 'K', f32 => 'E', f64 => 'D');

/// One column: all its cells, encoded.
#[derive(Debug, Clone)]
pub struct Column {
    name: String,
    form: String,
    dim: Option<usize>,
    unit: &'static str,
    width_bytes: usize,
    bytes: Vec<u8>,
}

impl Column {
    /// A column of numbers; `unit` may be empty.
    pub fn new<T: Cell>(
        name: impl Into<String>,
        unit: &'static str,
        values: impl Iterator<Item = T>,
    ) -> Self {
        let mut bytes = Vec::new();
        values.for_each(|v| v.put(&mut bytes));
        let form = T::FORM.to_string();
        Self { name: name.into(), form, dim: None, unit, width_bytes: size_of::<T>(), bytes }
    }

    /// A column of strings of `width` bytes, padded with NUL or cut.
    pub fn text<'a>(
        name: impl Into<String>,
        width: usize,
        values: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut bytes = Vec::new();
        for value in values {
            let end = bytes.len() + width;
            bytes.extend(value.bytes().take(width));
            bytes.resize(end, 0);
        }
        let form = format!("{width}A");
        Self { name: name.into(), form, dim: None, unit: "", width_bytes: width, bytes }
    }

    /// A column of `N` numbers a row.
    pub fn vector<T: Cell, const N: usize>(
        name: impl Into<String>,
        values: impl Iterator<Item = [T; N]>,
    ) -> Self {
        let mut bytes = Vec::new();
        values.flatten().for_each(|v| v.put(&mut bytes));
        let form = format!("{N}{}", T::FORM);
        let width_bytes = N * size_of::<T>();
        Self { name: name.into(), form, dim: Some(N), unit: "", width_bytes, bytes }
    }
}

/// A binary table extension.
#[derive(Debug, Clone)]
pub struct Table {
    name: &'static str,
    row_count: usize,
    columns: Vec<Column>,
    cards: Header,
}

impl Table {
    /// A table of columns that all have `row_count` rows; `cards` follow the structural ones.
    #[must_use]
    pub fn new(name: &'static str, row_count: usize, columns: Vec<Column>, cards: Header) -> Self {
        debug_assert!(columns.iter().all(|c| c.bytes.len() == row_count * c.width_bytes));
        Self { name, row_count, columns, cards }
    }

    /// Bytes in a row.
    #[must_use]
    pub fn row_bytes(&self) -> usize {
        self.columns.iter().map(|c| c.width_bytes).sum()
    }

    pub(super) fn header(&self) -> Header {
        let mut header = Header::default();
        header
            .text("XTENSION", "BINTABLE", "binary table extension")
            .int("BITPIX", 8, "array data type")
            .int("NAXIS", 2, "number of array dimensions")
            .int("NAXIS1", self.row_bytes() as i64, "length of dimension 1")
            .int("NAXIS2", self.row_count as i64, "length of dimension 2")
            .int("PCOUNT", 0, "number of group parameters")
            .int("GCOUNT", 1, "number of groups")
            .int("TFIELDS", self.columns.len() as i64, "number of table fields");
        for (i, column) in self.columns.iter().enumerate() {
            header.text(&format!("TTYPE{}", i + 1), &column.name, "");
            header.text(&format!("TFORM{}", i + 1), &column.form, "");
            if let Some(dim) = column.dim {
                header.text(&format!("TDIM{}", i + 1), &format!("({dim})"), "");
            }
        }
        for (i, column) in self.columns.iter().enumerate().filter(|(_, c)| !c.unit.is_empty()) {
            header.text(&format!("TUNIT{}", i + 1), column.unit, "");
        }
        header.text("EXTNAME", self.name, "extension name");
        header.cards.extend_from_slice(&self.cards.cards);
        header
    }

    pub(super) fn rows(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.row_count * self.row_bytes());
        for row in 0..self.row_count {
            for column in &self.columns {
                let start = row * column.width_bytes;
                bytes.extend_from_slice(&column.bytes[start..start + column.width_bytes]);
            }
        }
        bytes
    }
}
