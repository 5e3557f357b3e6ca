//! Every way a command can end, and the number that says so.

use bifrost_core::patience::MayPass;
use bifrost_core::{cluster, guard, layout, registry, spectrum, sync};
use bifrost_stages::survey::shared;
use std::fmt::Display;
use std::io;
use std::process::ExitCode;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Ok,
    /// 3: it finished, but something was set aside, or left out, with a reason.
    Quarantined,
    /// 4: nothing matched the question.
    NothingMatched,
}

/// The question or the options cannot be meant so: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Turns a fault of the question into exit code 2.
pub fn usage(error: impl Display) -> Usage {
    Usage(error.to_string())
}

/// Something is busy or not up yet; the same command may work later: exit code 75.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TryAgain(pub String);

/// This program is wrong: exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("a fault of this program, please report it: {}", .0.fault())]
pub struct Fault(pub guard::Panicked);

/// The reader of our output went away (`bifrost read | head`): that is no failure.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub struct ReaderGone;

/// Tells a reader that went away from an output that failed.
pub fn output(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => ReaderGone.into(),
        _ => anyhow::Error::new(error).context("failed to write the output"),
    }
}

/// Turns the end of the program into its exit code, and says what failed.
pub fn code(ended: anyhow::Result<Exit>) -> ExitCode {
    let error = match ended {
        Ok(Exit::Ok) => return ExitCode::SUCCESS,
        Ok(Exit::Quarantined) => return ExitCode::from(3),
        Ok(Exit::NothingMatched) => return ExitCode::from(4),
        Err(error) => error,
    };
    if error.chain().any(|e| e.is::<ReaderGone>()) {
        return ExitCode::SUCCESS;
    }
    crate::printer::complain(&error);
    ExitCode::from(number(&error))
}

/// Ends the program at once, as shells tell of one that a signal ended.
#[expect(clippy::disallowed_methods, reason = "main waits for work that nobody wants any more")]
pub fn by_signal(signal: i32) -> ! {
    std::process::exit(128 + signal)
}

fn number(error: &anyhow::Error) -> u8 {
    let is_usage = |e: &(dyn std::error::Error + 'static)| {
        e.is::<Usage>()
            || e.downcast_ref::<registry::Error>().is_some_and(registry::Error::is_usage)
            || e.downcast_ref::<layout::Error>().is_some_and(layout::Error::is_usage)
    };
    if error.chain().any(is_usage) {
        2
    } else if error.chain().any(may_pass) {
        75
    } else {
        1
    }
}

/// Whether the cause may be gone by itself later.
pub fn may_pass(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.is::<TryAgain>()
        || cause.downcast_ref::<registry::Error>().is_some_and(registry::Error::is_transient)
        || cause.downcast_ref::<sync::Error>().is_some_and(sync::Error::may_pass)
        || cause.downcast_ref::<spectrum::Error>().is_some_and(spectrum::Error::may_pass)
        || cause.downcast_ref::<cluster::Error>().is_some_and(cluster::Error::is_transient)
        || cause.downcast_ref::<shared::Error>().is_some_and(shared::Error::may_pass)
}
