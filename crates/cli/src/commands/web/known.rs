//! Groups that `bifrost groups` has found of the same galaxies, so that the web need not find them.

use crate::context::Context;
use crate::survey::Whole;
use arrow::array::{AsArray, Int64Array};
use bifrost_core::predicate::Predicate;
use bifrost_core::read;
use bifrost_core::resolution::{Detail, Query};
use bifrost_core::session::Session;
use bifrost_science::fof::Components;
use bifrost_stages::groups;
use bifrost_stages::survey::shared::digest;
use serde_json::Value;

/// Whether all files of the product `groups` were made with this configuration.
pub(in crate::commands) fn are_of(
    ctx: &Context,
    whole: &Whole,
    configuration: &Value,
) -> anyhow::Result<bool> {
    let about = groups::about();
    let config = digest(configuration);
    let are_alike = whole.registry.are_made_alike(about.product, about.version, &config);
    Ok(ctx.block_on(are_alike)?)
}

/// The groups of each sample by the product `groups`, where all of its files were made of these samples with
/// this configuration.
pub(super) fn groups(
    ctx: &Context,
    whole: &Whole,
    configuration: &Value,
) -> anyhow::Result<Option<Vec<Components>>> {
    let Whole { registry, pieces, .. } = whole;
    if !are_of(ctx, whole, configuration)? {
        return Ok(None);
    }
    let about = groups::about();
    let session = Session::from(registry.clone());
    let mut group: Vec<Vec<Option<Option<i64>>>> =
        pieces.iter().map(|piece| vec![None; piece.sample.len()]).collect();
    ctx.block_on(async {
        let query = Query {
            product: Some(about.product.to_owned()),
            predicate: Some(Predicate::parse("group_size IS NOT NULL")?),
            ..Query::default()
        };
        let answer = session.resolve(&query, Detail::Files).await?;
        let columns = Some(["target_id", "group_id"].map(String::from).to_vec());
        let options = read::Options { columns, ..read::Options::default() };
        for batch in session.read(&answer, &query, &options).await? {
            let batch = batch?;
            let of = |name: &str| batch.column_by_name(name).and_then(|c| c.as_primitive_opt());
            let (Some(ids), Some(groups)) = (of("target_id"), of("group_id")) else { continue };
            let groups: &Int64Array = groups;
            for (id, found) in Iterator::zip(Int64Array::values(ids).iter(), groups) {
                for (piece, group) in pieces.iter().zip(&mut group) {
                    let row = piece.sample.target_id.binary_search(id).ok();
                    row.and_then(|row| group.get_mut(row))
                        .into_iter()
                        .for_each(|g| *g = Some(found));
                }
            }
        }
        anyhow::Ok(())
    })?;
    let mut known = Vec::new();
    for (piece, group) in pieces.iter().zip(&group) {
        let parts = piece.sample.parts();
        let is_usable =
            |row: usize| parts.get(row.min(parts.len() - 1)).is_some_and(|p| !p.is_nan());
        // a tile whose groups could not be made is missing
        if group.iter().enumerate().any(|(row, group)| group.is_none() && is_usable(row)) {
            return Ok(None);
        }
        let group: Vec<Option<i64>> = group.iter().map(|group| group.flatten()).collect();
        known.push(Components::of_groups(&group)?);
    }
    Ok(Some(known))
}
