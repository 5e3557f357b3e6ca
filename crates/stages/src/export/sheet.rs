//! What an export says of itself.

use super::Report;
use crate::datasheet::{ACKNOWLEDGEMENT, cell, citation, grouped, size, time, type_name};
use arrow::datatypes::Schema;
use bifrost_core::metadata::{DESCRIPTION, UNIT};
use bifrost_core::sky::region::Spelled;
use bifrost_core::snapshot::Saved;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, context};
use std::collections::BTreeSet;

const TEMPLATE: &str = include_str!("../../../../templates/export.md.jinja");

/// The sheet as Markdown.
pub(super) fn render(
    report: &Report,
    saved: &Saved,
    schema: &Schema,
    releases: BTreeSet<&str>,
) -> Result<String, minijinja::Error> {
    let mut templates = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).keep_trailing_newline(true);
    templates.set_syntax(syntax.build()?);
    let asked = &saved.snapshot.question;
    let part = |what: &str, text: String| context! { what, text => code(&text) };
    let mut question = Vec::new();
    question.extend(asked.predicate.clone().map(|text| part("condition", text)));
    question.extend(asked.cone.clone().map(|text| part("cone (ra, dec, radius; degrees)", text)));
    question.extend(asked.regions.iter().map(|region| match region {
        Spelled::Cone(text) => part("cone (ra, dec, radius; degrees)", text.clone()),
        Spelled::Polygon(text) => part("polygon (degrees)", text.clone()),
        Spelled::Box(text) => part("box (degrees)", text.clone()),
        Spelled::Moc(text) => part("MOC", text.chars().take(200).collect()),
    }));
    let objects = asked.target_ids.as_ref().map(|ids| format!("{} TARGETIDs", ids.len()));
    question.extend(objects.map(|text| part("objects", text)));
    let columns = schema.fields().iter().map(|field| {
        let said = |key| field.metadata().get(key).map_or_else(String::new, |text| cell(text));
        let kind = type_name(&field.data_type().to_string());
        context! { name => field.name(), kind, unit => said(UNIT), description => said(DESCRIPTION) }
    });
    templates.render_str(
        TEMPLATE,
        context! {
            product => &asked.product,
            rows => grouped(report.rows),
            files => grouped(report.files as u64),
            size => size(report.bytes),
            made => time(saved.snapshot.saved_at),
            version => bifrost_core::VERSION,
            commit => report.commit,
            registry => saved.snapshot.registry.to_string(),
            id => &saved.id,
            question,
            columns => columns.collect::<Vec<_>>(),
            citations => releases.into_iter().map(citation).collect::<BTreeSet<_>>(),
            acknowledgement => ACKNOWLEDGEMENT.trim_end(),
        },
    )
}

/// Text between backquotes in a cell of a table: on one line, and no bar ends it.
fn code(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
