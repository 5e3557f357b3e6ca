//! What reaches a person: data on standard output, everything else on standard error.

use crate::exit::output;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

/// Decides how data is shown; tables and JSON come from the same struct.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    /// JSON instead of tables.
    pub json: bool,
    /// Only errors on standard error.
    pub quiet: bool,
    /// Standard error is a log, of JSON lines.
    pub is_logged: bool,
}

impl Printer {
    /// Prints data: as JSON when asked for, else by `show`.
    pub fn data<T: Serialize>(
        &self,
        data: &T,
        show: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        let mut text = match self.json {
            true => serde_json::to_string_pretty(data)?,
            false => narrow(&show(data)),
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(output)
    }

    /// Prints data in which there is nothing: as JSON when asked for, else a person is told so.
    pub fn none<T: Serialize>(&self, data: &T, text: &str) -> anyhow::Result<()> {
        self.note(text);
        if self.json { self.data(data, |_| String::new()) } else { Ok(()) }
    }

    /// Prints one line: JSON when asked for, else `text`.
    pub fn line<T: Serialize>(&self, data: &T, text: &str) -> anyhow::Result<()> {
        let json = if self.json { Some(serde_json::to_string(data)?) } else { None };
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{}", json.as_deref().unwrap_or(&harmless(text)));
        written.and_then(|()| out.flush()).map_err(output)
    }

    /// Tells a person how things stand, unless quiet.
    pub fn note(&self, text: &str) {
        if self.is_logged {
            tracing::info!("{text}");
        } else if !self.quiet {
            // where standard error is gone there is nobody to tell
            let _ = writeln!(io::stderr().lock(), "{}", harmless(text));
        }
    }

    /// Whether progress may be drawn: only for a person at a terminal.
    pub fn draws_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }
}

/// A plain table; columns named in `right` are aligned to the right.
pub fn table(head: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.iter().copied());
    for &column in right {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Without the blanks that fill a table's last column, which would wrap every line of a narrow terminal.
fn narrow(text: &str) -> String {
    harmless(text).lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Text for a terminal. Names of files and words in them are other people's: what would move its cursor, colour
/// it or set its title is spelled.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match text.contains(acts) {
        false => Cow::Borrowed(text),
        true => {
            let spelled = |c: char| if acts(c) { c.escape_default().to_string() } else { c.into() };
            Cow::Owned(text.chars().map(spelled).collect())
        }
    }
}

/// Says what failed, with every cause that adds something.
pub fn complain(error: &anyhow::Error) {
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // what the server said is told once, without the driver's frame around it
        let words = cause.strip_prefix("ERROR: ").unwrap_or(&cause);
        if cause != "db error" && !said.contains(words.lines().next().unwrap_or_default()) {
            said = format!("{said}: {cause}");
        }
    }
    let _ = writeln!(io::stderr().lock(), "bifrost: {}", harmless(&said));
}

/// Bytes in the unit that suits them.
pub fn size(bytes: i64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            return if unit == "B" { format!("{value} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}
