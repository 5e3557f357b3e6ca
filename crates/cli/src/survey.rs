//! The samples that survey-wide commands look at: one a tracer and cap, read through the resolver.

use crate::context::Context;
use crate::exit::usage;
use arrow::array::{AsArray, Int64Array};
use bifrost_core::predicate::Predicate;
use bifrost_core::read;
use bifrost_core::registry::Registry;
use bifrost_core::resolution::{Detail, Query};
use bifrost_core::session::Session;
use bifrost_science::cosmology::Cosmology;
use bifrost_science::fof::Components;
use bifrost_stages::groups;
use bifrost_stages::heap;
use bifrost_stages::survey::shared::digest;
use bifrost_stages::survey::{Cap, Completeness, Mask, Sample, Tracer};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;

/// A tracer in a cap.
pub struct Piece {
    /// Name of the tracer.
    pub tracer: String,
    /// The cap.
    pub cap: Cap,
    /// Its galaxies.
    pub sample: Sample,
    /// Where they were looked for.
    pub mask: Mask,
}

/// What is told of a sample.
#[derive(Debug, Serialize)]
pub struct About {
    tracer: String,
    cap: Cap,
    galaxies: usize,
    digest: String,
    mask: AboutMask,
}

#[derive(Debug, Serialize)]
struct AboutMask {
    area_deg2: f64,
    digest: String,
}

impl Piece {
    /// What footers say of it.
    pub fn about(&self) -> Value {
        json!(About {
            tracer: self.tracer.clone(),
            cap: self.cap,
            galaxies: self.sample.len(),
            digest: self.sample.digest(),
            mask: AboutMask {
                area_deg2: self.mask.area_sr() * 1f64.to_degrees().powi(2),
                digest: self.mask.digest(),
            },
        })
    }
}

/// What samples are made with.
pub struct Whole<'a> {
    /// Kinds of galaxies.
    pub tracers: &'a [Tracer],
    /// The cosmology.
    pub cosmology: &'a Cosmology,
    /// Part of the targets that have a redshift.
    pub completeness: &'a Completeness,
}

impl Whole<'_> {
    /// What shaped a product, for its files' footers.
    pub fn configuration(&self, settings: &impl Serialize, pieces: &[Piece]) -> Value {
        let cosmology = self.cosmology;
        json!({
            "settings": settings,
            "tracers": self.tracers,
            "cosmology": {"h": cosmology.h(), "omega_m": cosmology.omega_m(), "flat": true},
            "completeness": self.completeness.about(),
            "samples": pieces.iter().map(Piece::about).collect::<Vec<_>>(),
        })
    }
}

/// `NAME=CONDITION`.
pub fn parse_tracer(text: &str) -> Result<Tracer, String> {
    let parts = text.split_once('=').map(|(name, condition)| (name.trim(), condition.trim()));
    match parts {
        Some((name, condition)) if !name.is_empty() && !condition.is_empty() => {
            Ok(Tracer { name: name.to_owned(), condition: condition.to_owned() })
        }
        _ => Err("a tracer is NAME=CONDITION, as in lrg=z BETWEEN 0.4 AND 1.1".to_owned()),
    }
}

/// The samples of tracers, those without galaxies left out. A galaxy of two tracers is of the first. Where
/// they were looked for is in `mask`, or else the tiles that they are in.
pub fn pieces(
    ctx: &Context,
    registry: &Registry,
    tracers: &[Tracer],
    mask: Option<&Path>,
    completeness: &Completeness,
) -> anyhow::Result<Vec<Piece>> {
    let whole_mask = mask.map(Mask::read).transpose().map_err(usage)?;
    let masks = whole_mask.as_ref().map(|mask| Cap::ALL.map(|cap| mask.cap(cap)));
    let session = Session::from(registry.clone());
    let mut whole: Vec<Vec<i64>> = Vec::new();
    let mut pieces = Vec::new();
    for tracer in tracers {
        let read = ctx.block_on(Sample::read(&session, tracer, completeness));
        let sample = read.map_err(|error| match error.is_usage() {
            true => usage(error).into(),
            false => anyhow::Error::from(error),
        })?;
        let sample = if whole.is_empty() { sample } else { sample.without(&whole) };
        for (number, cap) in Cap::ALL.into_iter().enumerate() {
            let (tracer, sample) = (tracer.name.clone(), sample.cap(cap));
            let (sample, mask) = match masks.as_ref().and_then(|masks| masks.get(number)) {
                Some(mask) => (sample.within(mask), mask.clone()),
                None => {
                    let mask = Mask::of(&sample);
                    (sample, mask)
                }
            };
            if !sample.is_empty() {
                tell_unknown(ctx, &tracer, cap, &sample);
                pieces.push(Piece { tracer, cap, sample, mask });
            }
        }
        whole.push(sample.target_id);
    }
    heap::give_back();
    Ok(pieces)
}

fn tell_unknown(ctx: &Context, tracer: &str, cap: Cap, sample: &Sample) {
    let unknown = sample.completeness.iter().filter(|part| part.is_nan()).count();
    if unknown > 0 {
        ctx.printer.note(&format!(
            "{tracer} {cap}: the completeness around {unknown} of {} galaxies is not known: they are in no \
             group, and have no sigma_5",
            sample.len()
        ));
    }
}

/// The groups of each sample by the product `groups`, where all of its files were made of these samples with
/// this configuration.
pub fn known_groups(
    ctx: &Context,
    registry: &Registry,
    pieces: &[Piece],
    configuration: &Value,
) -> anyhow::Result<Option<Vec<Components>>> {
    let about = groups::about();
    let config = digest(configuration);
    let are_alike = registry.are_made_alike(about.product, about.version, &config);
    if !ctx.block_on(are_alike)? {
        return Ok(None);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracer_is_a_name_and_a_condition() {
        let tracer = parse_tracer("lrg = zwarn = 0 AND z > 0.4").expect("a tracer");
        assert_eq!((&tracer.name[..], &tracer.condition[..]), ("lrg", "zwarn = 0 AND z > 0.4"));
        assert!(parse_tracer("z > 0.4").is_err() && parse_tracer("=z > 1").is_err());
    }
}
