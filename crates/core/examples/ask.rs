//! Many questions in one process: each line of standard input is a question in JSON, each line of
//! standard output its answer. For tests and benchmarks, where starting the program would take
//! longer than the answer, and as an example of the library.
//!
//! ```text
//! ask DATABASE_URL
//! {"predicate": "z > 2.5", "cone": "150,2,1", "target_ids": [1, 2], "sql": "SELECT targetid FROM galaxies", "product": "spectra", "columns": ["target_id"], "as_of": 7}
//! ```
//!
//! Without `columns` the question is only resolved, without `as_of` it is about now. With
//! `"count": true` the answer is the number of files, with `"plan": true` it is how the server looks for
//! them. `{"ping": true}` asks nothing: what remains is
//! the way to the server. Besides `cone` there are `polygon`, `box` and `moc` (ASCII or JSON).

use arrow::json::LineDelimitedWriter;
use bifrost_core::predicate::Predicate;
use bifrost_core::read::{self, Options};
use bifrost_core::registry::Registry;
use bifrost_core::resolution::{self, Detail, Query};
use bifrost_core::sky::Region;
use bifrost_core::sky::region::Spelled;
use serde::Deserialize;
use serde_json::{Value, json};
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::time::Instant;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    ping: Option<bool>,
    count: Option<bool>,
    plan: Option<bool>,
    detail: Option<String>,
    predicate: Option<String>,
    cone: Option<String>,
    polygon: Option<String>,
    #[serde(rename = "box")]
    rectangle: Option<String>,
    moc: Option<String>,
    target_ids: Option<Vec<i64>>,
    sql: Option<String>,
    product: Option<String>,
    columns: Option<Vec<String>>,
    as_of: Option<i64>,
}

// one question at a time: no second thread has to be woken
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: ask DATABASE_URL")?;
    let registry = Registry::connect(&url).await?;
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let answer = match answer(&registry, &serde_json::from_str(&line?)?).await {
            Ok(answer) => answer,
            Err(error) => json!({ "error": error.to_string() }),
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

async fn answer(registry: &Registry, question: &Question) -> Result<Value, Box<dyn Error>> {
    if question.ping == Some(true) {
        let started = Instant::now();
        registry.ping().await?;
        return Ok(json!({ "resolved_us": started.elapsed().as_micros() as u64 }));
    }
    let spelled = [
        question.cone.clone().map(Spelled::Cone),
        question.polygon.clone().map(Spelled::Polygon),
        question.rectangle.clone().map(Spelled::Box),
        question.moc.clone().map(Spelled::Moc),
    ];
    let regions = spelled.iter().flatten().map(Region::try_from).collect::<Result<_, _>>()?;
    let query = Query {
        predicate: question.predicate.as_deref().map(Predicate::parse).transpose()?,
        regions,
        target_ids: question.target_ids.clone(),
        sql: question.sql.clone(),
        product: question.product.clone(),
        as_of: question.as_of,
        columns: question.columns.clone(),
    };
    let detail = match question.detail.as_deref() {
        Some("files") => Detail::Files,
        Some("explained") => Detail::Explained,
        None | Some("counted") => Detail::Counted,
        Some(other) => return Err(format!("no detail '{other}'").into()),
    };
    if question.plan == Some(true) {
        return Ok(json!({ "plan": resolution::plan(registry, &query).await? }));
    }
    let started = Instant::now();
    let resolution = resolution::resolve(registry, &query, detail).await?;
    let resolved_us = started.elapsed().as_micros() as u64;
    if question.count == Some(true) {
        return Ok(json!({ "files": resolution.files.len(), "resolved_us": resolved_us }));
    }
    let mut answer = json!({ "resolution": resolution, "resolved_us": resolved_us });
    if let Some(columns) = &question.columns {
        let options = Options { columns: Some(columns.clone()), ..Options::default() };
        let mut lines = Vec::new();
        let mut writer = LineDelimitedWriter::new(&mut lines);
        for batch in read::read(&resolution, &query, &options)? {
            writer.write(&batch?)?;
        }
        writer.finish()?;
        let rows = String::from_utf8(lines)?;
        let rows = rows.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        answer["rows"] = rows.into();
    }
    Ok(answer)
}
