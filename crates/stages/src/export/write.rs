//! A file of the export: those of a file's rows that match.

use super::{Error, Made};
use crate::derive::Output;
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bifrost_core::layout::{DATASET, Lake};
use bifrost_core::metadata::{self, MadeBy};
use bifrost_core::order::Order;
use bifrost_core::read::{Options, Portion, Recipe};
use bifrost_core::tile::{FileName, Name, Tile};
use bifrost_core::votable;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes the rows of a portion; `None` where none match.
pub(super) fn file(
    recipe: &Recipe,
    portion: Portion,
    lake: &Lake,
    product: &str,
    number: usize,
) -> Result<Option<Made>, Error> {
    let uri = portion.uri();
    let name = Path::new(&uri).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let tile = name.parse::<FileName>().ok().map(|name| name.tile);
    let options = Options { threads: 1, ..Options::default() };
    let mut batches = recipe.read(vec![portion], &options).peekable();
    if batches.peek().is_none() {
        return Ok(None);
    }
    let draft = lake.private("staging").join(format!("{number}.parquet"));
    let failed = |error: &dyn std::fmt::Display| Error::Write {
        path: draft.clone(),
        reason: error.to_string(),
    };
    fs::create_dir_all(lake.private("staging")).map_err(|e| failed(&e))?;
    let schema = recipe.schema();
    let mut output = Output::create(&draft, schema.clone(), None).map_err(|e| failed(&e))?;
    let mut order = tile.as_ref().map(Order::of);
    let mut rows = 0;
    for batch in batches {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        let ids = batch.column_by_name("target_id");
        match ids.and_then(|ids| ids.as_primitive_opt::<Int64Type>()) {
            Some(ids) => order.iter_mut().for_each(|order| order.add(ids.values())),
            None => order = None,
        }
        output.write(batch.columns().to_vec()).map_err(|e| failed(&e))?;
    }
    let made_by = MadeBy { name: "export".into(), version: 1 };
    let mut about = vec![
        (metadata::VERSION, bifrost_core::VERSION.to_owned()),
        (metadata::PRODUCT, product.to_owned()),
        (metadata::STAGE, serde_json::json!(made_by).to_string()),
    ];
    about.extend(tile.as_ref().map(|tile| (metadata::TILE, serde_json::json!(tile).to_string())));
    about.extend(order.map(|order| (metadata::ORDER, order.hash())));
    about.extend(votable::key_values(product, &schema));
    output.finish(about).map_err(|e| failed(&e))?;
    let target = place(lake, product, tile.clone(), rows, &uri, &name);
    let bytes = fs::metadata(&draft).map_err(Error::write(&draft))?.len();
    fs::create_dir_all(target.parent().unwrap_or(lake.root())).map_err(Error::write(&target))?;
    fs::rename(&draft, &target).map_err(Error::write(&target))?;
    let (pixel, release) = match tile {
        Some(tile) => (Some(tile.pixel), Some(tile.release.to_string())),
        None => (None, None),
    };
    Ok(Some(Made { pixel, release, rows, bytes }))
}

/// A tile's file lies where it lay, under the name that says how many rows it has; another keeps its
/// path below the product's folder.
fn place(
    lake: &Lake,
    product: &str,
    tile: Option<Tile>,
    rows: u64,
    uri: &str,
    name: &str,
) -> PathBuf {
    match (tile, Name::new(product)) {
        (Some(tile), Ok(product)) => lake.file(&product, &FileName { tile, rows }),
        _ => {
            let below = uri.split_once(&format!("/{product}/")).map_or(name, |(_, below)| below);
            let below = below.strip_prefix(DATASET).unwrap_or(below).trim_start_matches('/');
            lake.root().join(product).join(DATASET).join(below)
        }
    }
}
