//! Progress of long work: on standard error, only at a terminal.

use crate::printer::Printer;
use indicatif::{ProgressBar, ProgressStyle, WeakProgressBar};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The bar that is drawn: whoever else writes to the terminal must make way for it.
static DRAWN: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

/// A bar over `total` things of a kind ("tiles", "files"); silent where nobody looks.
pub fn bar(printer: &Printer, total: u64, things: &str) -> ProgressBar {
    let template =
        format!("{{bar:32}} {{pos}}/{{len}} {things} {{msg}} [{{elapsed}}, {{eta}} left]");
    drawn(printer, total, &template)
}

/// A bar over the shares of some work, which is told what is done just now; silent where nobody looks.
pub fn shares(printer: &Printer, total: u64) -> ProgressBar {
    drawn(printer, total, "{bar:32} {percent:>3} % {msg} [{elapsed}, {eta} left]")
}

/// A bar for work of hours and days, whose message says how long it still takes: it shows that
/// time goes by although nothing ends, and is as wide as the terminal.
pub fn long_bar(printer: &Printer, things: &str) -> ProgressBar {
    let bar =
        drawn(printer, 0, &format!("{{wide_bar}} {{pos}}/{{len}} {things}{{msg}} [{{elapsed}}]"));
    if !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_secs(1));
    }
    bar
}

fn drawn(printer: &Printer, total: u64, template: &str) -> ProgressBar {
    if !printer.draws_progress() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(total).with_style(style);
    *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.downgrade());
    bar
}

/// Standard error for the log: a bar that is drawn makes way for each line.
#[derive(Debug, Clone, Copy)]
pub struct BesideTheBar;

impl Write for BesideTheBar {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match drawn.and_then(|bar| bar.upgrade()) {
            Some(bar) => bar.suspend(|| io::stderr().write_all(text)),
            None => io::stderr().write_all(text),
        }
        .map(|()| text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
