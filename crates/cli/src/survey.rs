//! The samples that survey-wide commands look at: one a tracer and cap, read through the resolver.

use crate::context::Context;
use crate::exit::usage;
use bifrost_core::registry::Registry;
use bifrost_core::session::Session;
use bifrost_science::cosmology::Cosmology;
use bifrost_stages::survey::{Cap, Mask, Sample, Tracer};
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

/// What shaped a product, for its files' footers.
pub fn configuration(
    settings: &impl Serialize,
    tracers: &[Tracer],
    cosmology: &Cosmology,
    samples: &[Value],
) -> Value {
    json!({
        "settings": settings,
        "tracers": tracers,
        "cosmology": {"h": cosmology.h(), "omega_m": cosmology.omega_m(), "flat": true},
        "samples": samples,
    })
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
) -> anyhow::Result<Vec<Piece>> {
    let whole_mask = mask.map(Mask::read).transpose().map_err(usage)?;
    let masks = whole_mask.as_ref().map(|mask| Cap::ALL.map(|cap| mask.cap(cap)));
    let session = Session::from(registry.clone());
    let mut whole: Vec<Sample> = Vec::new();
    let mut pieces = Vec::new();
    for tracer in tracers {
        let read = ctx.block_on(Sample::read(&session, tracer));
        let sample = read.map_err(|error| match error.is_usage() {
            true => usage(error).into(),
            false => anyhow::Error::from(error),
        })?;
        let sample = sample.without(&whole);
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
                pieces.push(Piece { tracer, cap, sample, mask });
            }
        }
        whole.push(sample);
    }
    Ok(pieces)
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
