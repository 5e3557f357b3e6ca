//! `bifrost stage list`: every stage, what it reads and makes, and how far it is.

use super::Options;
use crate::context::Context;
use crate::exit::Exit;
use crate::printer;
use bifrost_core::layout::SPECTRA;
use bifrost_core::metadata::{DESCRIPTION, UNIT};
use bifrost_core::registry::Registry;
use bifrost_core::registry::stages::Step;
use bifrost_core::tile::Name;
use bifrost_stages::stage::{self, About, Source};
use bifrost_stages::store;
use serde::Serialize;

/// Arguments of `bifrost stage list`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Do not ask the registry how far they are
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_registry: Option<bool>,
}

#[derive(Debug, Serialize)]
struct List {
    version: u32,
    stages: Vec<Stage>,
}

#[derive(Debug, Serialize)]
struct Stage {
    name: &'static str,
    version: u32,
    input: &'static str,
    reads: &'static [&'static str],
    product: &'static str,
    columns: Vec<Column>,
    made: Option<i64>,
    stale: Option<i64>,
    missing: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    r#type: String,
    unit: Option<String>,
    description: Option<String>,
}

pub(super) fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let asked = Options { no_registry: args.no_registry, ..Options::default() };
    let without = asked.or(&ctx.settings.stage).no_registry.unwrap_or(false);
    let is_there = ctx.settings.database_url.is_some() || ctx.lake().is_ok();
    let registry = if without || !is_there { None } else { begun(ctx.registry_to_read())? };
    let mut stages = Vec::new();
    for about in stage::all() {
        stages.push(ctx.block_on(Stage::of(&about, registry.as_ref()))?);
    }
    stages.push(ctx.block_on(Stage::store(registry.as_ref()))?);
    ctx.printer.data(&List { version: 1, stages }, List::show)?;
    Ok(Exit::Ok)
}

/// A registry without tables has seen no lake yet: there is nothing to count.
fn begun(opened: anyhow::Result<Registry>) -> anyhow::Result<Option<Registry>> {
    use bifrost_core::registry::Error::SchemaTooOld;
    match opened {
        Ok(registry) => Ok(Some(registry)),
        Err(error) => match error.downcast_ref() {
            Some(SchemaTooOld { found: None }) => Ok(None),
            _ => Err(error),
        },
    }
}

impl Stage {
    async fn of(about: &About, registry: Option<&Registry>) -> anyhow::Result<Self> {
        let (input, reads) = match about.from {
            Source::Archive => ("archive", [].as_slice()),
            Source::Product(input, reads) => (input, reads),
        };
        let mut stage = Self {
            name: about.name,
            version: about.version,
            input,
            reads,
            product: about.product,
            columns: about.columns.iter().map(Column::of).collect(),
            made: None,
            stale: None,
            missing: None,
        };
        let Some(registry) = registry else { return Ok(stage) };
        if about.from == Source::Archive {
            stage.made = Some(registry.files_of_tiles(&about.product()).await?);
            return Ok(stage);
        }
        let step = Step {
            stage: about.name,
            version: about.version,
            input: Name::new(input)?,
            product: about.product(),
        };
        let counts = registry.stage_counts(&step).await?;
        stage.made = Some(counts.made);
        (stage.stale, stage.missing) = (Some(counts.stale), Some(counts.missing));
        Ok(stage)
    }
}

impl Stage {
    /// The stage of spectra stores, whose tiles are counted.
    async fn store(registry: Option<&Registry>) -> anyhow::Result<Self> {
        let counts = match registry {
            Some(registry) => Some(registry.store_counts(store::VERSION).await?),
            None => None,
        };
        Ok(Self {
            name: store::NAME,
            version: store::VERSION,
            input: SPECTRA,
            reads: &store::READS,
            product: store::NAME,
            columns: Vec::new(),
            made: counts.as_ref().map(|counts| counts.made),
            stale: counts.as_ref().map(|counts| counts.stale),
            missing: counts.as_ref().map(|counts| counts.missing),
        })
    }
}

impl Column {
    fn of(field: &arrow::datatypes::Field) -> Self {
        Self {
            name: field.name().clone(),
            r#type: field.data_type().to_string(),
            unit: field.metadata().get(UNIT).cloned(),
            description: field.metadata().get(DESCRIPTION).cloned(),
        }
    }
}

impl List {
    fn show(&self) -> String {
        let head = ["stage", "version", "reads", "makes", "columns", "made", "stale", "missing"];
        let mut table = printer::table(&head, &[1, 4, 5, 6, 7]);
        let count = |n: Option<i64>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
        for stage in &self.stages {
            table.add_row([
                stage.name.to_owned(),
                stage.version.to_string(),
                stage.input.to_owned(),
                stage.product.to_owned(),
                stage.columns.len().to_string(),
                count(stage.made),
                count(stage.stale),
                count(stage.missing),
            ]);
        }
        table.to_string()
    }
}
