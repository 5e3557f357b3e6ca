//! Spectra as text.

use crate::printer;
use bifrost_core::spectrum::{ARMS, Observed, Pixels, Spectrum, arms};
use bifrost_science::lines::{Kind, marks};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The tile of an observation, as far as it is known.
pub(super) fn tile(about: &Observed) -> String {
    let names = [&about.release, &about.survey, &about.program];
    let mut parts: Vec<String> = names.into_iter().flatten().cloned().collect();
    parts.extend(about.healpix.map(|pixel| pixel.to_string()));
    parts.join("-")
}

/// What each spectrum is, how good it is, and where its lines are.
pub(super) fn table(spectra: &[Spectrum]) -> String {
    let head =
        ["target_id", "tile", "spectype", "z", "zwarn", "ra", "dec", "pixels", "good", "Å", "S/N"];
    let mut rows = printer::table(&head, &[0, 3, 4, 5, 6, 7, 8, 10]);
    for Spectrum { about, pixels } in spectra {
        let real = |value: Option<f64>, places: usize| {
            value.map(|value| format!("{value:.places$}")).unwrap_or_default()
        };
        rows.add_row([
            about.target_id.to_string(),
            tile(about),
            about.spectype.clone().unwrap_or_default(),
            real(about.z, 6),
            about.zwarn.map(|zwarn| zwarn.to_string()).unwrap_or_default(),
            real(about.ra, 5),
            real(about.dec, 5),
            pixels.flux.len().to_string(),
            good(pixels).count().to_string(),
            ends(pixels).map_or_else(String::new, |(from, to)| format!("{from:.1} to {to:.1}")),
            real(median_snr(pixels), 2),
        ]);
    }
    let mut text = format!("{rows}\n");
    for Spectrum { about, pixels } in spectra {
        for (kind, what) in [(Kind::Emission, "emission"), (Kind::Absorption, "absorption")] {
            let lines = lines(about, pixels, kind);
            if let (Some(z), false) = (about.z, lines.is_empty()) {
                // writing to a string cannot fail
                let _ = writeln!(text, "{what} lines at z = {z:.6} ({}), Å: {lines}", tile(about));
            }
        }
    }
    text
}

fn good(pixels: &Pixels) -> impl Iterator<Item = usize> {
    let is_good = |i: &usize| pixels.ivar[*i] > 0.0 && pixels.mask[*i] == 0;
    (0..pixels.flux.len()).filter(is_good)
}

fn ends(pixels: &Pixels) -> Option<(f64, f64)> {
    let wave = || pixels.wavelength.iter().copied();
    Some((wave().reduce(f64::min)?, wave().reduce(f64::max)?))
}

/// Median S/N of the good pixels.
fn median_snr(pixels: &Pixels) -> Option<f64> {
    let snr = |i: usize| f64::from(pixels.flux[i]) * f64::from(pixels.ivar[i]).sqrt();
    let mut each: Vec<f64> = good(pixels).map(snr).collect();
    each.sort_unstable_by(f64::total_cmp);
    let (last, middle) = (each.len().checked_sub(1)?, each.len() / 2);
    Some((each[last / 2] + each[middle]) / 2.0)
}

/// Lines that fall into the spectrum, each name once.
fn lines(about: &Observed, pixels: &Pixels, kind: Kind) -> String {
    let (Some(z), Some((from, to))) = (about.z, ends(pixels)) else { return String::new() };
    let mut names: Vec<(&str, Vec<String>)> = Vec::new();
    for mark in marks(z, from..=to).filter(|mark| mark.line.kind == kind) {
        let observed = format!("{:.1}", mark.observed_angstrom);
        match names.iter_mut().find(|(name, _)| *name == mark.line.name) {
            Some((_, places)) => places.push(observed),
            None => names.push((mark.line.name, vec![observed])),
        }
    }
    let one = |(name, places): &(&str, Vec<String>)| format!("{name} {}", places.join(" "));
    names.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// One line a pixel; what is not a number is left empty.
pub(super) fn csv(spectra: &[Spectrum], with_arms: bool) -> String {
    let mut text = String::from("target_id,release,survey,program");
    text.push_str(if with_arms { ",arm" } else { "" });
    text.push_str(",wavelength,flux,ivar,mask\n");
    for Spectrum { about, pixels } in spectra {
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        let names = [&about.release, &about.survey, &about.program].map(name);
        let key = format!("{},{}", about.target_id, names.join(","));
        let real = |value: f32| if value.is_finite() { value.to_string() } else { String::new() };
        let parts = if with_arms {
            arms(&pixels.wavelength).into_iter().zip(ARMS.map(|arm| format!(",{arm}"))).collect()
        } else {
            vec![(0..pixels.flux.len(), String::new())]
        };
        for (part, arm) in parts {
            for i in part {
                let (flux, ivar) = (real(pixels.flux[i]), real(pixels.ivar[i]));
                let (wave, mask) = (pixels.wavelength[i], pixels.mask[i]);
                // writing to a string cannot fail
                let _ = writeln!(text, "{key}{arm},{wave},{flux},{ivar},{mask}");
            }
        }
    }
    text
}

/// A spectrum with its arms and lines.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    #[serde(flatten)]
    spectrum: &'a Spectrum,
    /// First pixel of each arm, and the one after its last.
    #[serde(skip_serializing_if = "Option::is_none")]
    arms: Option<BTreeMap<&'static str, [usize; 2]>>,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    kind: &'static str,
    rest_angstrom: f64,
    observed_angstrom: f64,
}

/// One object a line and spectrum.
pub(super) fn json(spectra: &[Spectrum], with_arms: bool) -> anyhow::Result<String> {
    let mut text = String::new();
    for spectrum in spectra {
        let Spectrum { about, pixels } = spectrum;
        let parts = || arms(&pixels.wavelength).map(|part| [part.start, part.end]);
        let (z, (from, to)) = (about.z.unwrap_or(f64::NAN), ends(pixels).unwrap_or((0.0, 0.0)));
        let lines = marks(z, from..=to).map(|mark| Line {
            name: mark.line.name,
            kind: match mark.line.kind {
                Kind::Emission => "emission",
                Kind::Absorption => "absorption",
            },
            rest_angstrom: mark.line.rest_angstrom,
            observed_angstrom: mark.observed_angstrom,
        });
        let arms = with_arms.then(|| ARMS.into_iter().zip(parts()).collect());
        let document = Document { version: 1, spectrum, arms, lines: lines.collect() };
        text.push_str(&serde_json::to_string(&document)?);
        text.push('\n');
    }
    Ok(text)
}
