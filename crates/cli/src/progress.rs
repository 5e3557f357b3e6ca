//! Progress of long work: on standard error, only at a terminal.

use crate::printer::Printer;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `total` things of a kind ("tiles", "files"); silent where nobody looks.
pub fn bar(printer: &Printer, total: u64, things: &str) -> ProgressBar {
    if !printer.draws_progress() {
        return ProgressBar::hidden();
    }
    let template =
        format!("{{bar:32}} {{pos}}/{{len}} {things} {{msg}} [{{elapsed}}, {{eta}} left]");
    let style =
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style)
}
