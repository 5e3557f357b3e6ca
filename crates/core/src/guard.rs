//! Libraries that panic on damaged files, and faults of our own: a panic becomes an error.
//!
//! Readers of foreign formats promise errors and, fed with damage, sometimes panic all the same.
//! Whatever runs inside [`guard`] may do so without ending the program; a program that calls
//! [`keep_quiet`] once also shows nothing of it, and the error says where it was.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Mutex, Once, PoisonError};

/// Something panicked; this is what it said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading it ran into a fault: {0}")]
pub struct Panicked(String);

/// Crates that decode Parquet: what makes them panic is damage of a file.
const DECODERS: [&str; 4] = ["/parquet-", "/arrow-", "/snap-", "/lz4_flex-"];

impl Panicked {
    /// The words of the panic, and the file and line where it was, if that is known.
    #[must_use]
    pub fn fault(&self) -> &str {
        &self.0
    }

    /// Whether it was in a decoder of Parquet and not in this program.
    #[must_use]
    pub fn is_of_decoder(&self) -> bool {
        let place = self.0.rsplit_once(" (").map_or("", |(_, place)| place);
        DECODERS.iter().any(|decoder| place.contains(decoder))
    }
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Panics that were not shown, on their way to a guard: their words, and where they were.
///
/// A panic of one of rayon's threads goes on in the thread that waits for it, and only its words
/// come along.
static UNSHOWN: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
/// Of two panics at once only one arrives: what stays behind must not pile up.
const UNSHOWN_MAX: usize = 64;

/// Runs `read`; a panic in it is an error. What `read` was changing must not be used afterwards.
///
/// # Errors
/// [`Panicked`], with the words of the panic.
pub fn guard<T>(read: impl FnOnce() -> T) -> Result<T, Panicked> {
    DEPTH.set(DEPTH.get() + 1);
    let ended = panic::catch_unwind(AssertUnwindSafe(read));
    DEPTH.set(DEPTH.get() - 1);
    ended.map_err(|payload| {
        let words = words(payload.as_ref());
        let mut unshown = UNSHOWN.lock().unwrap_or_else(PoisonError::into_inner);
        match unshown.iter().position(|(said, _)| *said == words) {
            Some(at) => Panicked(format!("{words} ({})", unshown.remove(at).1)),
            None => Panicked(words),
        }
    })
}

/// Makes panics silent inside of [`guard`] and in rayon's threads, whose panics go on in the thread
/// that waits for them; leaves all others as they are. The program's `main` should be guarded, so
/// that somebody says what happened.
pub fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if DEPTH.get() > 0 || rayon::current_thread_index().is_some() {
                keep(info);
            } else {
                loud(info);
            }
        }));
    });
}

fn keep(info: &PanicHookInfo<'_>) {
    let Some(place) = info.location() else { return };
    let mut unshown = UNSHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if unshown.len() == UNSHOWN_MAX {
        unshown.remove(0);
    }
    unshown.push((words(info.payload()), format!("{}:{}", place.file(), place.line())));
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    text.or(owned).unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_panic_is_an_error() {
        keep_quiet();
        let numbers: Vec<u8> = Vec::new();
        assert_eq!(guard(|| 3), Ok(3));
        let ended = guard(|| numbers[numbers.len()]).expect_err("out of bounds");
        assert!(ended.to_string().contains("index out of bounds"), "{ended}");
        let line = line!() - 2;
        assert!(ended.fault().ends_with(&format!(" (crates/core/src/guard.rs:{line})")), "{ended}");
        assert_eq!(DEPTH.get(), 0);
    }

    #[test]
    fn nothing_of_it_is_shown() {
        const ALONE: &str = "BIFROST_TEST_ALONE";
        if std::env::var_os(ALONE).is_some() {
            keep_quiet();
            let here = guard(|| panic!("in this thread"));
            let there = guard(|| rayon::join(|| panic!("in another"), || ()));
            let faults = [here.expect_err("it panicked"), there.expect_err("it panicked")];
            assert!(faults.iter().all(|fault| fault.fault().contains("guard.rs:")), "{faults:?}");
            return;
        }
        // what is written to standard error can only be seen from outside
        let mut this = Command::new(std::env::current_exe().expect("this program"));
        this.args(["--exact", "guard::tests::nothing_of_it_is_shown", "--nocapture"]);
        let ended = this.env(ALONE, "1").output().expect("it runs");
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
    }
}
