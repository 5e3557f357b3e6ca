//! Postgres's binary COPY format, written straight into bytes.
//!
//! Millions of rows pass here, so values go into one growing buffer without any allocation or
//! dispatch of their own. The order and types of the values are those of the `copy_….sql` file
//! that the buffer is sent to.

use bytes::Bytes;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Rows of a COPY, without its header and trailer.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    bytes: Vec<u8>,
    count: u64,
}

/// What every COPY begins with.
pub(super) fn header() -> Bytes {
    Bytes::from([SIGNATURE, &[0; 8]].concat())
}

/// What every COPY ends with.
pub(super) fn trailer() -> Bytes {
    Bytes::from_static(&[0xff, 0xff])
}

impl Rows {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), count: 0 }
    }

    /// How many rows were begun.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Makes the [`Rows::bool`] that was written from this place on a false one.
    pub(crate) fn put_false(&mut self, place: usize) {
        if let Some(value) = place.checked_add(4).and_then(|at| self.bytes.get_mut(at)) {
            *value = 0;
        }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.bytes.into()
    }

    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes.extend_from_slice(&bytes);
    }

    /// A value of so many bytes.
    #[inline]
    fn value<const N: usize>(&mut self, value: [u8; N]) {
        self.put((N as i32).to_be_bytes());
        self.put(value);
    }

    /// Begins a row of so many values.
    #[inline]
    pub(crate) fn begin(&mut self, values: i16) {
        // one look at the room that is left, instead of one a value
        self.bytes.reserve(values as usize * 12 + 2);
        self.put(values.to_be_bytes());
        self.count += 1;
    }

    #[inline]
    pub(crate) fn null(&mut self) {
        self.put((-1i32).to_be_bytes());
    }

    #[inline]
    pub(crate) fn int8(&mut self, value: i64) {
        self.value(value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn int4(&mut self, value: i32) {
        self.value(value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn int2(&mut self, value: i16) {
        self.value(value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn float8(&mut self, value: f64) {
        self.value(value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn float4(&mut self, value: f32) {
        self.value(value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn bool(&mut self, value: bool) {
        self.value([u8::from(value)]);
    }

    #[inline]
    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.put((value.len() as i32).to_be_bytes());
        self.bytes.extend_from_slice(value);
    }

    /// Text; a NUL, which Postgres refuses, becomes U+FFFD.
    #[inline]
    pub(crate) fn text(&mut self, value: &str) {
        if value.as_bytes().contains(&0) {
            self.bytes(value.replace('\0', "\u{fffd}").as_bytes());
        } else {
            self.bytes(value.as_bytes());
        }
    }

    /// A value, or NULL.
    #[inline]
    pub(crate) fn maybe<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => put(self, value),
            None => self.null(),
        }
    }

    /// The `int8range` [start, end).
    pub(crate) fn int8range(&mut self, range: &std::ops::Range<i64>) {
        const LOWER_INCLUSIVE: u8 = 0x02;
        self.put((1 + 12 + 12i32).to_be_bytes());
        self.put([LOWER_INCLUSIVE]);
        self.int8(range.start);
        self.int8(range.end);
    }

    /// An array of one dimension; `put` writes its elements.
    fn array<T>(
        &mut self,
        element: Element,
        values: impl ExactSizeIterator<Item = T>,
        mut put: impl FnMut(&mut Self, T),
    ) {
        let (start, count) = (self.bytes.len(), values.len());
        self.put([0; 4]);
        self.put(i32::from(count > 0).to_be_bytes());
        // whether there are NULLs: Postgres looks for itself
        self.put(1i32.to_be_bytes());
        self.put((element as u32).to_be_bytes());
        if count > 0 {
            self.put((count as i32).to_be_bytes());
            self.put(1i32.to_be_bytes());
        }
        values.for_each(|value| put(self, value));
        let length = (self.bytes.len() - start - 4) as i32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    pub(crate) fn int8s(&mut self, values: impl ExactSizeIterator<Item = Option<i64>>) {
        self.array(Element::Int8, values, |rows, v| rows.maybe(v, Self::int8));
    }

    pub(crate) fn int4s(&mut self, values: impl ExactSizeIterator<Item = Option<i32>>) {
        self.array(Element::Int4, values, |rows, v| rows.maybe(v, Self::int4));
    }

    pub(crate) fn int2s(&mut self, values: impl ExactSizeIterator<Item = i16>) {
        self.array(Element::Int2, values, Self::int2);
    }

    pub(crate) fn float4s(&mut self, values: impl ExactSizeIterator<Item = Option<f32>>) {
        self.array(Element::Float4, values, |rows, v| rows.maybe(v, Self::float4));
    }

    pub(crate) fn float8s(&mut self, values: impl ExactSizeIterator<Item = Option<f64>>) {
        self.array(Element::Float8, values, |rows, v| rows.maybe(v, Self::float8));
    }

    pub(crate) fn bools(&mut self, values: impl ExactSizeIterator<Item = bool>) {
        self.array(Element::Bool, values, Self::bool);
    }

    pub(crate) fn texts<'a>(&mut self, values: impl ExactSizeIterator<Item = Option<&'a str>>) {
        self.array(Element::Text, values, |rows, v| rows.maybe(v, Self::text));
    }
}

/// Object identifiers of element types, which Postgres never changes.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
enum Element {
    Bool = 16,
    Int8 = 20,
    Int2 = 21,
    Int4 = 23,
    Text = 25,
    Float4 = 700,
    Float8 = 701,
}
