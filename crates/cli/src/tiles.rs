//! Tiles that people name, in arguments and in lists: what is misspelled is corrected and said, line by
//! line; what means nothing, or is of another production, is refused.

use crate::exit::Usage;
use crate::printer::Printer;
use anyhow::Context as _;
use bifrost_archive::repair::{self, Expected, Mended, Wrong};
use std::path::Path;

/// The text of a list.
pub fn read(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path);
    text.with_context(|| format!("failed to read the list {}", path.display()))
}

/// What a list means; `list` is its name.
pub fn meant(
    printer: Printer,
    list: &str,
    text: &str,
    expected: &Expected,
) -> anyhow::Result<Mended> {
    let mended = repair::mend(text, expected);
    let of_another = mended.corrections.iter().filter(|c| c.wrong.contains(&Wrong::Production));
    let release = expected.production.release();
    let of_another = of_another
        .map(|c| (c.line, format!("'{}' is of another production than {release}", c.was)));
    let refused = mended.refused.iter().map(|r| (r.line, format!("'{}': {}", r.was, r.reason)));
    let mut wrong: Vec<_> = of_another.chain(refused).collect();
    wrong.sort();
    if !wrong.is_empty() {
        let lines = wrong.iter().map(|(line, what)| format!("{list}:{line}: {what}"));
        return Err(Usage(lines.collect::<Vec<_>>().join("\n")).into());
    }
    for correction in &mended.corrections {
        printer.note(&format!("{list}:{}: {correction}", correction.line));
    }
    Ok(mended)
}
