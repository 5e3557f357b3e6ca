//! `croissant.json`: the datasheet's twin for machines, as data hubs and loaders read it
//! (Croissant 1.1, JSON-LD).
//!
//! Of each product that has files here: its files as a set, its columns as fields of one record
//! set. The lake goes on growing, so it is declared live and states no checksum of its files.

use super::archive;
use super::spell;
use arrow::datatypes::FieldRef;
use bifrost_core::layout::SPECTRA;
use bifrost_core::metadata::{DESCRIPTION, UNIT};
use bifrost_core::registry::facts::{Column, Facts, Schema};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const KEY: [&str; 5] = ["release", "survey", "program", "healpix", "target_id"];

/// The description as JSON text; the time of the latest commit is its only time.
pub(super) fn render(facts: &Facts, title: &str) -> String {
    let releases: BTreeSet<&str> = facts.tiles.iter().map(|tile| &*tile.release).collect();
    let latest = facts.commits.first();
    let words = "one row per object of a tile, one Parquet file per tile. See DATA_README.md.";
    let mut document = document(title, words, &releases, &described(facts));
    document["isLiveDataset"] = Value::from(true);
    document["version"] = format!("0.{}.0", latest.map_or(0, |commit| commit.commit_id)).into();
    if let Some(latest) = latest {
        document["datePublished"] = latest.committed_at.format("%Y-%m-%d").to_string().into();
    }
    format!("{document:#}\n")
}

/// That of an export of rows of a product, which stays as it is.
pub(crate) fn of_export(
    product: &str,
    fields: &arrow::datatypes::Schema,
    releases: &BTreeSet<&str>,
    id: &str,
    made: DateTime<Utc>,
) -> String {
    let column = |field: &FieldRef| Column {
        name: field.name().clone(),
        arrow_type: field.data_type().to_string(),
        unit: field.metadata().get(UNIT).cloned(),
        description: field.metadata().get(DESCRIPTION).cloned(),
        nulls: None,
        range: None,
        files_without_bounds: 0,
        files_with_nan: 0,
    };
    let (fingerprint, columns) = (String::new(), fields.fields().iter().map(column).collect());
    let schema = Schema { product: product.to_owned(), fingerprint, files: 0, rows: 0, columns };
    let title = format!("DESI {product}, an export");
    let words = "the rows that answer a question. See README.md.";
    let mut document = document(&title, words, releases, &[&schema]);
    document["isLiveDataset"] = Value::from(false);
    document["version"] = "1.0.0".into();
    document["identifier"] = id.into();
    document["datePublished"] = made.format("%Y-%m-%d").to_string().into();
    format!("{document:#}\n")
}

fn document(title: &str, words: &str, releases: &BTreeSet<&str>, products: &[&Schema]) -> Value {
    let citations: BTreeSet<&str> =
        releases.iter().map(|release| archive::production(release).citation).collect();
    json!({
        "@context": context(),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": title,
        "description": format!(
            "Spectra, redshifts and target photometry of the Dark Energy Spectroscopic Instrument: {words}"
        ),
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "url": "https://data.desi.lbl.gov/",
        "creator": {"@type": "sc:Organization", "name": "DESI Collaboration", "url": "https://www.desi.lbl.gov/"},
        "citeAs": citations.into_iter().collect::<Vec<_>>().join("; "),
        "keywords": ["astronomy", "spectroscopy", "redshift", "DESI", "HEALPix"],
        "distribution": products.iter().map(|schema| file_set(schema)).collect::<Vec<_>>(),
        "recordSet": products.iter().map(|schema| record_set(schema)).collect::<Vec<_>>(),
    })
}

fn context() -> Value {
    let text = include_str!("../../../../templates/croissant_context.json");
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// The most frequent schema of each product that has files here.
fn described(facts: &Facts) -> Vec<&Schema> {
    let is_here = |product: &str| {
        let mut places = facts.products.iter();
        places.any(|p| p.product == product && p.lake_id == facts.here && p.live > 0)
    };
    let mut seen = BTreeSet::new();
    let first = |schema: &&Schema| is_here(&schema.product) && seen.insert(schema.product.clone());
    facts.schemas.iter().filter(first).collect()
}

fn files_of(schema: &Schema) -> String {
    format!("{}-files", schema.product)
}

fn file_set(schema: &Schema) -> Value {
    json!({
        "@type": "cr:FileSet",
        "@id": files_of(schema),
        "name": files_of(schema),
        "description": format!("Parquet files of the product {}", schema.product),
        // the registered type, and the one that mlcroissant reads
        "encodingFormat": ["application/vnd.apache.parquet", "application/x-parquet"],
        "includes": format!("{}/**/*.parquet", schema.product),
    })
}

fn record_set(schema: &Schema) -> Value {
    let id = |name: &str| format!("{}/{name}", schema.product);
    let has = |name: &str| schema.columns.iter().any(|column| column.name == name);
    let mut records = json!({
        "@type": "cr:RecordSet",
        "@id": schema.product,
        "name": schema.product,
        "field": schema.columns.iter().map(|column| field(schema, column)).collect::<Vec<_>>(),
    });
    if schema.product == SPECTRA && KEY.into_iter().all(has) {
        let key: Vec<Value> = KEY.into_iter().map(|name| json!({"@id": id(name)})).collect();
        records["key"] = Value::from(key);
    }
    records
}

fn field(schema: &Schema, column: &Column) -> Value {
    let description = match (&column.description, &column.unit) {
        (Some(words), Some(unit)) => format!("{words} [{unit}]"),
        (Some(words), None) => words.clone(),
        (None, Some(unit)) => format!("[{unit}]"),
        (None, None) => spell::UNKNOWN.to_owned(),
    };
    let mut field = json!({
        "@type": "cr:Field",
        "@id": format!("{}/{}", schema.product, column.name),
        "name": column.name,
        "description": description,
        "dataType": data_type(&column.arrow_type),
        "source": {"fileSet": {"@id": files_of(schema)}, "extract": {"column": column.name}},
    });
    if column.arrow_type.contains("List") {
        field["isArray"] = Value::from(true);
        field["arrayShape"] = Value::from("-1");
    }
    field
}

fn data_type(arrow_type: &str) -> &'static str {
    if arrow_type.contains("Float") {
        "sc:Float"
    } else if arrow_type.contains("Utf8") {
        "sc:Text"
    } else if arrow_type.contains("Bool") {
        "sc:Boolean"
    } else if arrow_type.contains("Int") {
        "sc:Integer"
    } else {
        "sc:Text"
    }
}
