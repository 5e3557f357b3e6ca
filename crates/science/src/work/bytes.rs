//! Lists of numbers as little-endian bytes, each list after its length.

/// A number, or numbers, of a fixed size.
pub(crate) trait Plain: Copy {
    /// Bytes.
    const SIZE: usize;
    fn put(self, out: &mut Vec<u8>);
    /// Of so many bytes.
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! plain {
    ($($kind:ty),*) => {$(
        impl Plain for $kind {
            const SIZE: usize = size_of::<Self>();
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn get(bytes: &[u8]) -> Self {
                Self::from_le_bytes(std::array::from_fn(|k| bytes[k]))
            }
        }
    )*};
}

plain!(u8, u16, u32, u64, f64);

impl<T: Plain, const N: usize> Plain for [T; N] {
    const SIZE: usize = N * T::SIZE;
    fn put(self, out: &mut Vec<u8>) {
        self.into_iter().for_each(|one| one.put(out));
    }
    fn get(bytes: &[u8]) -> Self {
        std::array::from_fn(|k| T::get(&bytes[k * T::SIZE..(k + 1) * T::SIZE]))
    }
}

/// Appends a list.
pub(crate) fn put<T: Plain>(out: &mut Vec<u8>, list: &[T]) {
    out.reserve_exact(8 + list.len() * T::SIZE);
    (list.len() as u64).put(out);
    list.iter().for_each(|one| one.put(out));
}

/// Lists that are read one after another.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

/// Bytes that are not what was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the output of a step is torn")]
pub(crate) struct Torn;

impl Bytes<'_> {
    /// The next list.
    pub(crate) fn list<T: Plain>(&mut self) -> Result<Vec<T>, Torn> {
        let (len, rest) = self.0.split_at_checked(8).ok_or(Torn)?;
        let size = usize::try_from(u64::get(len)).ok().and_then(|len| len.checked_mul(T::SIZE));
        let (list, rest) = rest.split_at_checked(size.ok_or(Torn)?).ok_or(Torn)?;
        self.0 = rest;
        Ok(list.chunks_exact(T::SIZE).map(T::get).collect())
    }
}
