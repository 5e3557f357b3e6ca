//! Libraries that panic on damaged files: their panic becomes an error of ours.
//!
//! Readers of foreign formats promise errors and, fed with damage, sometimes panic all the same.
//! Whatever runs inside [`guard`] may do so without ending the program; a program that calls
//! [`keep_quiet`] once also shows nothing of it.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

/// A library panicked; this is what it said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading it ran into a fault: {0}")]
pub struct Panicked(String);

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs `read`; a panic in it is an error. What `read` was changing must not be used afterwards.
///
/// # Errors
/// [`Panicked`], with the words of the panic.
pub fn guard<T>(read: impl FnOnce() -> T) -> Result<T, Panicked> {
    DEPTH.set(DEPTH.get() + 1);
    let ended = panic::catch_unwind(AssertUnwindSafe(read));
    DEPTH.set(DEPTH.get() - 1);
    ended.map_err(|payload| Panicked(words(payload.as_ref())))
}

/// Makes panics inside of [`guard`] silent, and leaves all others as they are.
pub fn keep_quiet() {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if DEPTH.get() == 0 {
            loud(info);
        }
    }));
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    text.or(owned).unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        keep_quiet();
        let numbers: Vec<u8> = Vec::new();
        assert_eq!(guard(|| 3), Ok(3));
        let ended = guard(|| numbers[numbers.len()]);
        assert!(ended.is_err_and(|e| e.to_string().contains("index out of bounds")));
        assert_eq!(DEPTH.get(), 0);
    }
}
