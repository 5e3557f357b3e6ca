//! The samples that survey-wide commands look at: one a tracer and cap, read through the resolver.

use crate::commands::run::sync_lake;
use crate::context::Context;
use crate::exit::{Usage, usage};
use bifrost_core::layout::Lake;
use bifrost_core::registry::Registry;
use bifrost_core::session::Session;
use bifrost_science::cosmology::Cosmology;
use bifrost_stages::heap;
use bifrost_stages::survey::{Cap, Completeness, LeftOut, Mask, Sample, Tracer};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashSet;
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

/// All samples, what they were made with, and where they were read.
pub struct Whole {
    /// The lake that products are written to.
    pub lake: Lake,
    /// The registry of all lakes.
    pub registry: Registry,
    /// The cosmology.
    pub cosmology: Cosmology,
    /// The samples, those without galaxies left out.
    pub pieces: Vec<Piece>,
    tracers: Vec<Tracer>,
    completeness: Completeness,
}

impl Whole {
    /// Reads the samples of tracers, as they are now; where they were looked for is in the file `mask`, or
    /// else the tiles that they are in.
    pub fn read(
        ctx: &Context,
        tracers: Vec<Tracer>,
        mask: Option<&Path>,
        completeness: Completeness,
        cosmology: Cosmology,
    ) -> anyhow::Result<Self> {
        let lake = ctx.lake()?;
        let registry = ctx.registry_of(&lake)?;
        ctx.block_on(sync_lake(ctx, &registry, &lake))?;
        let pieces = pieces(ctx, &registry, &tracers, mask, &completeness)?;
        if pieces.is_empty() {
            ctx.printer.note("no galaxy of any tracer is there");
        }
        Ok(Self { lake, registry, cosmology, pieces, tracers, completeness })
    }

    /// What shaped a product, for its files' footers.
    pub fn configuration(&self, settings: &impl Serialize) -> Value {
        let cosmology = &self.cosmology;
        json!({
            "settings": settings,
            "tracers": self.tracers,
            "cosmology": {
                "name": if cosmology.is_desi() { "DESI fiducial" } else { "flat LCDM" },
                "h": cosmology.h(),
                "omega_m": cosmology.omega_m(),
                "omega_r": cosmology.omega_r(),
                "flat": true,
            },
            "completeness": self.completeness.about(),
            "samples": self.pieces.iter().map(Piece::about).collect::<Vec<_>>(),
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

/// Products, tables and files tell tracers apart by their names.
pub fn check_names(tracers: &[Tracer]) -> Result<(), Usage> {
    let mut names = HashSet::new();
    for Tracer { name, .. } in tracers {
        if name.starts_with('.') || name.contains(|c: char| c.is_control() || "/\\".contains(c)) {
            let text = "no dot in front, no slashes and no control characters";
            return Err(usage(format!("'{}' names no tracer: {text}", name.escape_debug())));
        }
        if !names.insert(name) {
            return Err(usage(format!("two tracers are called '{name}'")));
        }
    }
    Ok(())
}

/// A galaxy of two tracers is of the first.
fn pieces(
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
        let (sample, left_out) = read.map_err(|error| match error.is_usage() {
            true => usage(error).into(),
            false => anyhow::Error::from(error),
        })?;
        if left_out != LeftOut::default() {
            ctx.printer.note(&format!("{}: {left_out}", tracer.name));
        }
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
