//! The living datasheet: what a lake holds, where it comes from and how to use it.
//!
//! `DATA_README.md`, two figures and `croissant.json` beside it are made from the [`Facts`] of one snapshot of the
//! registry. Same facts, same bytes; a file is written only when its content changed, whole or not
//! at all; and what people wrote into its curated sections stays.

mod archive;
pub(crate) mod croissant;
mod curated;
pub(crate) mod figure;
mod inset;
mod redshift;
mod sky_map;
mod spell;
mod store;
mod view;

pub(crate) use archive::{ACKNOWLEDGEMENT, citation};
use bifrost_core::layout::Lake;
use bifrost_core::registry::facts::Facts;
use curated::Merged;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};
pub(crate) use spell::{cell, grouped, size, time};
use std::path::PathBuf;
use view::View;
pub(crate) use view::type_name;

/// The datasheet, in the root of its lake.
pub const SHEET: &str = "DATA_README.md";
/// The map beside it.
pub const SKY: &str = "DATA_README-sky.svg";
/// The histogram beside it.
pub const REDSHIFT: &str = "DATA_README-redshift.svg";

/// Its twin for machines.
pub const CROISSANT: &str = "croissant.json";

/// Why a datasheet could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The template and what it is given do not fit.
    #[error("failed to render {SHEET}: {0:#}")]
    Render(#[from] minijinja::Error),
    /// The plotting library refused.
    #[error(transparent)]
    Figure(#[from] figure::Error),
    /// The file system refused.
    #[error("failed to {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// How a reader reaches the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// What psql and bifrost take as a database: `host=… dbname=…`, without a password.
    pub conninfo: String,
    /// Whether it is the lake's private server.
    pub private: bool,
}

impl Access {
    /// Puts psql's variables into one line, the password left out.
    #[must_use]
    pub fn new(variables: &[(&str, String)], private: bool) -> Self {
        let keyword = |name: &str| match name {
            "PGHOST" => Some("host"),
            "PGPORT" => Some("port"),
            "PGUSER" => Some("user"),
            "PGDATABASE" => Some("dbname"),
            "PGSSLMODE" => Some("sslmode"),
            _ => None,
        };
        let pairs = variables.iter().filter_map(|(name, value)| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._-,".contains(c);
            let value = match value.chars().all(plain) && !value.is_empty() {
                true => value.clone(),
                false => format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")),
            };
            Some(format!("{}={value}", keyword(name)?))
        });
        Self { conninfo: pairs.collect::<Vec<_>>().join(" "), private }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Regenerated {
    /// The content changed, or was not there.
    Written,
    /// The content is what it was; no file was touched.
    Unchanged,
    /// As written; the markers of curated sections in the sheet that was there are damaged, so it
    /// was kept beside the new one.
    WrittenKeeping {
        /// The old sheet.
        kept: PathBuf,
        /// What is wrong with its markers.
        damage: Vec<String>,
    },
}

/// Brings a lake's datasheet and its figures up to date.
///
/// # Errors
/// [`Error`]; the files that are there stay as they are.
pub fn regenerate(lake: &Lake, facts: &Facts, access: &Access) -> Result<Regenerated, Error> {
    let _lock = store::lock(lake)?;
    let existing = store::read(lake, SHEET)?;
    let made = sheet(facts, access, existing.as_deref())?;
    let kept = match &existing {
        Some(existing) if !made.damage.is_empty() => Some(store::keep(lake, existing)?),
        _ => None,
    };
    let (sky, redshift) = (sky_figure(facts)?, redshift_figure(facts)?);
    let croissant = croissant::render(facts, &view::title(facts));
    let files = [(SKY, &sky), (REDSHIFT, &redshift), (CROISSANT, &croissant), (SHEET, &made.text)];
    let changed = store::write_changed(lake, &files.map(|(name, text)| (name, text.as_bytes())))?;
    Ok(match (changed, kept) {
        (_, Some(kept)) => Regenerated::WrittenKeeping { kept, damage: made.damage },
        (true, None) => Regenerated::Written,
        (false, None) => Regenerated::Unchanged,
    })
}

/// The commit that a lake's datasheet is as of; `None` where the sheet, or anything that belongs to
/// it, is not there or does not say.
#[must_use]
pub fn as_of(lake: &Lake) -> Option<i64> {
    let beside = [SKY, REDSHIFT, CROISSANT];
    if !beside.iter().all(|name| lake.root().join(name).is_file()) {
        return None;
    }
    let sheet = store::read(lake, SHEET).ok()??;
    front_matter(&String::from_utf8_lossy(&sheet), "commit")?.parse().ok()
}

/// The new sheet with the curated words of the one that is there; that one itself, where nothing
/// but the time would change.
fn sheet(facts: &Facts, access: &Access, existing: Option<&[u8]>) -> Result<Merged, Error> {
    let now = spell::time(facts.taken_at);
    let Some(bytes) = existing else {
        return Ok(Merged { text: render(facts, access, &now)?, damage: Vec::new() });
    };
    let existing = String::from_utf8_lossy(bytes);
    let then = front_matter(&existing, "generated_at").map(|time| time.trim_matches('"'));
    if let Some(then) = then {
        let as_then = curated::merge(&render(facts, access, then)?, &existing);
        if as_then.text.as_bytes() == bytes {
            return Ok(as_then);
        }
    }
    let mut made = curated::merge(&render(facts, access, &now)?, &existing);
    if existing.as_bytes() != bytes {
        made.damage.push("the sheet is not UTF-8".to_owned());
    }
    Ok(made)
}

fn render(facts: &Facts, access: &Access, generated_at: &str) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    environment.set_syntax(syntax.build()?);
    environment.add_filter("grouped", |number: u64| spell::grouped(number));
    environment.add_filter("bytes", |number: u64| spell::size(number));
    environment.add_filter("cell", |text: String| spell::cell(&text));
    environment.add_filter("known", |text: Option<String>| spell::known(&text));
    environment.add_filter("quoted", |text: String| json(&text));
    environment.add_filter("shell", |text: String| spell::shell(&text));
    environment.add_filter("sql", |text: String| spell::sql(&text));
    environment
        .add_template("sheet", include_str!("../../../../templates/DATA_README.md.jinja"))?;
    let recipes = include_str!("../../../../templates/recipes.md.jinja");
    environment.add_template("recipes.md.jinja", recipes)?;
    let view = Value::from(Serde(View::new(facts, access, generated_at)));
    Ok(environment.get_template("sheet")?.render(view)?)
}

/// Text in double quotes, as JSON, YAML and Python read it alike.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A value in a sheet's front matter.
fn front_matter<'a>(sheet: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = sheet.lines().skip(1).take_while(|line| *line != "---");
    lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
}

fn sky_figure(facts: &Facts) -> Result<String, figure::Error> {
    let rows = |tile: &bifrost_core::registry::facts::TileRow| sky_map::PixelRows {
        program: tile.program.clone(),
        pixel: tile.pixel,
        rows: tile.rows.unsigned_abs(),
    };
    sky_map::draw(&facts.tiles.iter().map(rows).collect::<Vec<_>>())
}

fn redshift_figure(facts: &Facts) -> Result<String, figure::Error> {
    let bins = facts.redshifts.iter().map(|row| redshift::Bin {
        class: row.spectype.clone().unwrap_or_else(|| "unknown".to_owned()),
        z_bin: row.z_bin,
        objects: row.objects.unsigned_abs(),
    });
    redshift::draw(&bins.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
