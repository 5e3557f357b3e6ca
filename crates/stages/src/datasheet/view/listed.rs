//! Files and tiles by name, columns, and how files were made: the long tables of the datasheet.

use super::super::spell::{self, UNKNOWN, known};
use bifrost_core::layout::SPECTRA;
use bifrost_core::registry::facts::{
    Column, Facts, FileWrongRow, MakingRow, Range, Schema, TileOutcomeRow,
};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;

#[derive(Debug, Serialize)]
pub(super) struct Named<T> {
    rows: Vec<T>,
    total: u64,
    more: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct OutcomeView {
    product: String,
    tile: String,
    node: String,
    outcome: String,
    reasons: String,
    advice: String,
    since: String,
}

#[derive(Debug, Serialize)]
pub(super) struct WrongView {
    path: String,
    node: String,
    what: &'static str,
    reason: String,
    since: String,
}

#[derive(Debug, Serialize)]
pub(super) struct SchemaView {
    product: String,
    short: String,
    files: i64,
    rows: i64,
    drift: bool,
    columns: Vec<ColumnView>,
}

#[derive(Debug, Serialize)]
pub(super) struct ColumnView {
    name: String,
    arrow_type: String,
    unit: String,
    filled: String,
    least: String,
    greatest: String,
    description: String,
}

#[derive(Debug, Serialize)]
pub(super) struct MakingView {
    product: String,
    files: i64,
    writer: String,
    config: String,
    configuration: String,
    pipeline: String,
}

pub(super) fn outcomes(facts: &Facts, node_of: impl Fn(Uuid) -> String) -> Named<OutcomeView> {
    let view = |row: &TileOutcomeRow| OutcomeView {
        product: row.product.clone(),
        tile: row.tile.clone(),
        node: node_of(row.lake_id),
        outcome: row.outcome.clone(),
        reasons: row.reasons.join("; "),
        advice: known(&row.advice),
        since: spell::time(row.at),
    };
    named(facts.tile_outcomes.rows.iter().map(view).collect(), facts.tile_outcomes.total)
}

pub(super) fn files_wrong(facts: &Facts, node_of: impl Fn(Uuid) -> String) -> Named<WrongView> {
    let view = |row: &FileWrongRow| WrongView {
        path: row.path.clone(),
        node: node_of(row.lake_id),
        what: match &*row.state {
            "quarantined" => "unreadable",
            "missing" => "vanished",
            _ => "two of a tile",
        },
        reason: match (&row.reason, &*row.state) {
            (None, "missing") => "was registered and is not there any more".to_owned(),
            (reason, _) => known(reason),
        },
        since: row.since.map_or_else(|| UNKNOWN.to_owned(), spell::time),
    };
    named(facts.files_wrong.rows.iter().map(view).collect(), facts.files_wrong.total)
}

/// Spectra here that a reader of the whole folder must leave out.
pub(super) fn unreadable(facts: &Facts, root: &str) -> Vec<String> {
    let in_spectra = |path: &str| path.split('/').next() == Some(SPECTRA);
    let files = facts.files_wrong.rows.iter().filter(|row| {
        row.lake_id == facts.here && row.state == "quarantined" && in_spectra(&row.path)
    });
    files.map(|row| format!("{root}/{}", row.path)).collect()
}

fn named<T>(rows: Vec<T>, total: u64) -> Named<T> {
    Named { more: total.saturating_sub(rows.len() as u64), rows, total }
}

pub(super) fn schemas(facts: &Facts) -> Vec<SchemaView> {
    let count = |product: &str| facts.schemas.iter().filter(|s| s.product == product).count();
    let view = |schema: &Schema| SchemaView {
        product: schema.product.clone(),
        short: schema.fingerprint.chars().take(12).collect(),
        files: schema.files,
        rows: schema.rows,
        drift: count(&schema.product) > 1,
        columns: schema.columns.iter().map(|column| column_view(column, schema.rows)).collect(),
    };
    facts.schemas.iter().map(view).collect()
}

fn column_view(column: &Column, rows: i64) -> ColumnView {
    let (least, greatest) = match &column.range {
        Some(Range::Int(low, high)) => (integer(*low), integer(*high)),
        Some(Range::Float(low, high)) => (spell::float(*low), spell::float(*high)),
        Some(Range::Text(low, high)) => (quoted(low), quoted(high)),
        None => (UNKNOWN.to_owned(), UNKNOWN.to_owned()),
    };
    let nulls = column.nulls.map(i64::unsigned_abs);
    let rows = rows.unsigned_abs();
    let empty = rows > 0 && nulls == Some(rows);
    let doubt = match (column.files_without_bounds, column.files_with_nan) {
        (0, 0) => "",
        (0, _) => " (also NaN)",
        _ => " (some files do not say)",
    };
    let bound = |text: String| match &*text {
        UNKNOWN if empty => "–".to_owned(),
        UNKNOWN => text,
        _ => format!("{text}{doubt}"),
    };
    ColumnView {
        name: column.name.clone(),
        arrow_type: type_name(&column.arrow_type),
        unit: column.unit.clone().unwrap_or_else(|| "–".to_owned()),
        filled: nulls.map_or_else(
            || UNKNOWN.to_owned(),
            |nulls| spell::share(rows.saturating_sub(nulls), rows),
        ),
        least: bound(least),
        greatest: bound(greatest),
        description: known(&column.description),
    }
}

/// Arrow's name of a type, a list's shortened to what it is a list of.
pub(crate) fn type_name(arrow_type: &str) -> String {
    let list = arrow_type.strip_prefix("List(").and_then(|rest| rest.split(',').next());
    match list {
        Some(item) => {
            format!("list of {}", item.trim_start_matches("non-null ").trim_end_matches(')'))
        }
        None => arrow_type.to_owned(),
    }
}

fn integer(value: i64) -> String {
    value.to_string().replace('-', "−")
}

fn quoted(text: &str) -> String {
    const SHOWN: usize = 24;
    let short: String = text.chars().take(SHOWN).collect();
    let more = if text.chars().count() > SHOWN { "…" } else { "" };
    format!("'{short}{more}'")
}

pub(super) fn makings(facts: &Facts) -> Vec<MakingView> {
    let view = |row: &MakingRow| {
        let part = |key: &str| row.document.as_ref().and_then(|document| document.get(key));
        let text = |key: &str| part(key).and_then(|value| value.as_str()).map(str::to_owned);
        let writer = match (text("writer"), text("version")) {
            (_, Some(version)) => Some(format!("bifrost {version}")),
            (writer, None) => writer,
        };
        MakingView {
            product: row.product.clone(),
            files: row.files,
            writer: known(&writer),
            config: known(&text("config").map(|hex| hex.chars().take(12).collect())),
            configuration: part("configuration").map_or_else(|| UNKNOWN.to_owned(), pairs),
            pipeline: part("headers").map_or_else(|| UNKNOWN.to_owned(), pipeline),
        }
    };
    facts.makings.iter().map(view).collect()
}

/// Versions of the archive's programs and templates, from the header cards that tell them.
fn pipeline(headers: &Value) -> String {
    let Value::Object(cards) = headers else { return pairs(headers) };
    let version = |key: &String, value: &Value| {
        let (file, card) = key.split_once('.').unwrap_or(("", key));
        if let Some(program) = card.strip_prefix("dependency.") {
            return Some(format!("{program} {}", pairs(value)));
        }
        if let Some(number) = card.strip_prefix("TEMNAM") {
            let version =
                cards.get(&format!("{file}.TEMVER{number}")).map_or_else(String::new, pairs);
            return Some(format!("template {} {version}", pairs(value)));
        }
        match card {
            "RRVER" => Some(format!("redrock {}", pairs(value))),
            card if card.starts_with("TEMVER") => None,
            _ => Some(format!("{key} {}", pairs(value))),
        }
    };
    let versions: BTreeSet<String> = cards.iter().filter_map(|(k, v)| version(k, v)).collect();
    known(&Some(versions.into_iter().collect::<Vec<_>>().join(", ")))
}

/// A JSON object as `key value, key value`, in the order of its keys.
fn pairs(value: &Value) -> String {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let pair = |(key, value): (&String, &Value)| format!("{key} {}", pairs(value));
            map.iter().map(pair).collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) => items.iter().map(pairs).collect::<Vec<_>>().join(" "),
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        Value::Object(_) => UNKNOWN.to_owned(),
        other => other.to_string(),
    }
}
