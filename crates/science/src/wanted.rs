//! Whether a result is still wanted: kernels that take long ask now and then, and end without one.

use std::fmt::{self, Debug, Formatter};

/// Says whether a result is still wanted; any thread may ask.
#[derive(Clone, Copy)]
pub struct Wanted<'a>(pub &'a (dyn Fn() -> bool + Sync));

/// A result that nobody wants any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody wants it any more")]
pub struct Unwanted;

impl Wanted<'_> {
    /// Whatever happens.
    pub const ALWAYS: Wanted<'static> = Wanted(&|| true);

    /// Goes on, if it is wanted.
    ///
    /// # Errors
    /// [`Unwanted`].
    pub fn check(self) -> Result<(), Unwanted> {
        (self.0)().then_some(()).ok_or(Unwanted)
    }
}

impl Debug for Wanted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Wanted")
    }
}
