//! One tile: its draft is written, unless what is published is what would be made again.

use super::attached::Attached;
use super::input::{Input, Opened};
use super::output::Output;
use super::spectra::COLUMNS as ARRAYS;
use super::{Fault, KEYS, Settings};
use crate::stage::{About, FromProduct, Source};
use crate::store::stored::Stored;
use arrow::array::{Array, AsArray, RecordBatch, RecordBatchReader};
use arrow::datatypes::{Field, Int64Type, Schema};
use bifrost_core::layout::Lake;
use bifrost_core::metadata::{self, MadeBy};
use bifrost_core::order::Order;
use bifrost_core::publish::Claim;
use bifrost_core::tile::{Name, Tile};
use bifrost_core::votable;
use bifrost_core::withdraw::Version;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A stage, and what it says of itself.
pub(super) struct Recipe<'a> {
    pub(super) stage: &'a dyn FromProduct,
    pub(super) about: About,
    pub(super) input: Name,
    pub(super) reads: &'static [&'static str],
    configuration: Option<String>,
}

impl<'a> Recipe<'a> {
    /// None of a stage that reads no product.
    pub(super) fn of(stage: &'a dyn FromProduct) -> Option<Self> {
        let about = stage.about();
        let Source::Product(input, reads) = about.from else { return None };
        let configuration = stage.configuration();
        Some(Self { stage, about, input: crate::stage::name(input), reads, configuration })
    }

    fn made_by(&self) -> MadeBy {
        MadeBy { name: self.about.name.to_owned(), version: self.about.version }
    }
}

/// What came of a tile.
pub(super) enum Made {
    Unchanged(PathBuf),
    Draft { rows: u64, version: Version },
}

/// Makes the draft of a tile that is claimed.
pub(super) fn make(
    recipe: &Recipe<'_>,
    lake: &Lake,
    claim: &Claim,
    tile: &Tile,
    path: &Path,
    settings: &Settings,
) -> Result<Made, Fault> {
    let input = Input::open(&recipe.input, tile, path)?;
    if !settings.force
        && let [live] = &claim.live()?[..]
        && is_current(recipe, live, &input)
    {
        return Ok(Made::Unchanged(live.clone()));
    }
    if settings.verify && input.states_content {
        input.verify()?;
    }
    let rows = write(recipe, lake, claim, tile, &input)?;
    Ok(Made::Draft { rows, version: input.version })
}

/// Whether the file at `live` was made by this stage of this input. One that cannot be read was not.
fn is_current(recipe: &Recipe<'_>, live: &Path, input: &Input) -> bool {
    let Ok(live) = Opened::open(live) else { return false };
    let parents = live.parents();
    let [parent] = &parents[..] else { return false };
    let now = &input.parent;
    live.made_by().is_some_and(|made_by| made_by == recipe.made_by())
        && live.configuration() == recipe.configuration.as_deref()
        && live.order() == Some(now.order.as_str())
        && (&parent.product, &parent.content, &parent.order)
            == (&now.product, &now.content, &now.order)
        && (input.states_content
            || (parent.size_bytes, parent.mtime_ns) == (now.size_bytes, now.mtime_ns))
}

/// Streams the input through the stage into the draft; says how many rows there are.
fn write(
    recipe: &Recipe<'_>,
    lake: &Lake,
    claim: &Claim,
    tile: &Tile,
    input: &Input,
) -> Result<u64, Fault> {
    let keys = input.has(&KEYS);
    let mut columns: Vec<&str> = keys.iter().map(String::as_str).collect();
    columns.extend(recipe.reads.iter().filter(|name| !KEYS.contains(name)));
    let lacks_arrays = input.has(&ARRAYS).is_empty() && columns.iter().any(|c| ARRAYS.contains(c));
    let rows: Box<dyn RecordBatchReader> = match lacks_arrays {
        true => Box::new(Attached::new(Stored::of(lake, tile, input)?, tile, input, &columns)?),
        false => Box::new(input.rows(&columns)?),
    };
    let schema = schema(&recipe.about, &rows.schema(), &keys);
    let sorting = input.sorting(&keys);
    let votable = votable::key_values(recipe.about.product, &schema);
    let mut output = Output::create(claim.draft(), schema, sorting)?;
    let mut order = Order::of(tile);
    let mut count = 0;
    for batch in rows {
        let batch = batch.map_err(Fault::reading)?;
        order.add(target_ids(&batch)?);
        count += batch.num_rows() as i64;
        let mut made = pick(&batch, keys.iter().map(String::as_str))?.columns().to_vec();
        let read = pick(&batch, recipe.reads.iter().copied())?;
        made.extend(recipe.stage.batch(&read).map_err(|error| Fault::stage(&error))?);
        output.write(made)?;
    }
    if count != input.num_rows() || order.hash() != input.parent.order {
        let reason = "its input's rows are not in the number or the order that its footer states";
        return Err(Fault::Corrupt(reason.to_owned()));
    }
    let mut about = vec![
        (metadata::VERSION, bifrost_core::VERSION.to_owned()),
        (metadata::PRODUCT, recipe.about.product.to_owned()),
        (metadata::TILE, serde_json::json!(tile).to_string()),
        (metadata::STAGE, serde_json::json!(recipe.made_by()).to_string()),
        (metadata::PARENTS, serde_json::json!([&input.parent]).to_string()),
        (metadata::ORDER, order.hash()),
    ];
    if let Some(configuration) = &recipe.configuration {
        let fingerprint = blake3::hash(configuration.as_bytes()).to_hex().to_string();
        about.push((metadata::CONFIG, fingerprint));
        about.push((metadata::CONFIGURATION, configuration.clone()));
    }
    // the same rows lie in the same places
    about.extend(input.off_brick().map(|rows| (metadata::OFF_BRICK, rows.to_owned())));
    about.extend(votable);
    output.finish(about)?;
    Ok(count.unsigned_abs())
}

/// The keys as the input has them, then the stage's columns.
fn schema(about: &About, input: &Schema, keys: &[String]) -> Arc<Schema> {
    let keys = keys.iter().filter_map(|key| input.field_with_name(key).ok().cloned());
    Arc::new(Schema::new(keys.chain(about.columns.clone()).collect::<Vec<Field>>()))
}

fn target_ids(batch: &RecordBatch) -> Result<&[i64], Fault> {
    let ids = batch.column_by_name("target_id");
    let ids = ids.and_then(|ids| ids.as_primitive_opt::<Int64Type>());
    let ids = ids.filter(|ids| ids.null_count() == 0);
    let wrong = || Fault::Corrupt("its input has no column target_id without NULL".to_owned());
    Ok(ids.ok_or_else(wrong)?.values())
}

fn pick<'a>(
    batch: &RecordBatch,
    columns: impl Iterator<Item = &'a str>,
) -> Result<RecordBatch, Fault> {
    let schema = batch.schema_ref();
    let places: Vec<usize> = columns.filter_map(|name| schema.index_of(name).ok()).collect();
    batch.project(&places).map_err(|error| Fault::stage(&error))
}
