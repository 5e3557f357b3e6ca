//! Which tile it is: release, survey, program and pixel.
//!
//! Headers and names must agree with each other; what neither says comes from the options, the
//! pixel from the coordinates of the real targets, which must then all lie in one.

use super::config::Given;
use super::findings::Findings;
use super::inputs::{Inputs, dependency};
use super::sources::Kind;
use crate::fits::{Fits, Header};
use bifrost_core::outcome::Outcome;
use bifrost_core::sky::pixel_of;
use bifrost_core::tile::{Name, Pixel, Tile};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is said about one part of the key, and by whom.
#[derive(Default)]
struct Said(Vec<(String, String)>);

impl Said {
    fn add(&mut self, by: impl Into<String>, what: Option<impl ToString>) {
        if let Some(what) = what {
            let what = what.to_string().trim().to_ascii_lowercase();
            if !what.is_empty() {
                self.0.push((what, by.into()));
            }
        }
    }

    /// What all say alike.
    fn agreed(&self, part: &str, findings: &mut Findings) -> Option<String> {
        let values: BTreeSet<&str> = self.0.iter().map(|(what, _)| what.as_str()).collect();
        if values.len() > 1 {
            let said: Vec<_> = self.0.iter().map(|(what, by)| format!("{what} ({by})")).collect();
            let reason = format!("the {part} is said to be {}", said.join(", "));
            findings.add(Outcome::Mismatch, reason);
        }
        self.0.first().map(|(what, _)| what.clone())
    }
}

/// Tells the tile, or says in `findings` what is not known.
pub fn identify(
    stem: &str,
    inputs: &Inputs,
    given: &Given,
    findings: &mut Findings,
) -> Option<Tile> {
    let named = parse_stem(stem);
    let mut release = Said::default();
    let mut survey = Said::default();
    let mut program = Said::default();
    let mut pixel = Said::default();
    for (kind, fits) in [(Kind::Coadd, &inputs.coadd), (Kind::Redrock, &inputs.redrock)] {
        let Some(fits) = fits else { continue };
        let by = || format!("{kind} header");
        let header = fits.primary();
        release.add(by(), header.text("SPECPROD").or_else(|| dependency(fits, "SPECPROD")));
        survey.add(by(), header.text("SURVEY"));
        program.add(by(), header.text("PROGRAM"));
        pixel.add(by(), header_pixel(header, kind, findings));
    }
    if let Some((named_survey, named_program, named_pixel)) = named {
        survey.add("file name", Some(named_survey));
        program.add("file name", Some(named_program));
        pixel.add("file name", Some(named_pixel));
    }
    if release.0.is_empty() {
        let path = inputs.paths.values().next();
        release.add("folder", path.and_then(|path| release_of_folder(path)));
    }
    let release = settle("release", release, given.release.as_ref(), findings);
    let survey = settle("survey", survey, given.survey.as_ref(), findings);
    let program = settle("program", program, given.program.as_ref(), findings);
    let pixel = match pixel.agreed("pixel", findings) {
        Some(text) => text.parse().ok().and_then(|n| Pixel::new(n).ok()).or_else(|| {
            findings.add(Outcome::Corrupt, format!("{text} is no pixel of nside 64"));
            None
        }),
        None => pixel_of_targets(inputs.coadd.as_ref(), findings),
    };
    Some(Tile { release: release?, survey: survey?, program: program?, pixel: pixel? })
}

fn settle(part: &str, said: Said, given: Option<&Name>, findings: &mut Findings) -> Option<Name> {
    match (said.agreed(part, findings), given) {
        (Some(text), _) => match Name::new(&text) {
            Ok(name) => Some(name),
            Err(e) => {
                findings.add(Outcome::Corrupt, format!("the {part}: {e}"));
                None
            }
        },
        (None, Some(given)) => Some(given.clone()),
        (None, None) => {
            let advice = match part {
                "release" => "give --release",
                "survey" => "give --survey",
                _ => "give --program",
            };
            let reason = format!("neither headers nor names say the {part}");
            findings.add_with(Outcome::MissingSource, reason, advice);
            None
        }
    }
}

/// `main-dark-12712`, as the archive names the files of a pixel.
fn parse_stem(stem: &str) -> Option<(&str, &str, u32)> {
    let mut parts = stem.split('-');
    let (survey, program, pixel) = (parts.next()?, parts.next()?, parts.next()?);
    let worded = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic());
    let whole = parts.next().is_none() && worded(survey) && worded(program);
    let pixel = Pixel::new(pixel.parse().ok()?).ok()?.get();
    whole.then_some((survey, program, pixel))
}

/// The pixel of a header, if it is numbered as tiles are.
fn header_pixel(header: &Header, kind: Kind, findings: &mut Findings) -> Option<i64> {
    let pixel = header.integer("HPXPIXEL")?;
    let nside = header.integer("HPXNSIDE").unwrap_or(i64::from(Pixel::NSIDE));
    let nested = header.logical("HPXNEST").unwrap_or(true);
    if nside == i64::from(Pixel::NSIDE) && nested {
        return Some(pixel);
    }
    let scheme = if nested { "NESTED" } else { "RING" };
    findings.add(
        Outcome::Corrupt,
        format!("{kind}: its pixel is numbered at nside {nside} {scheme}, tiles are at 64 NESTED"),
    );
    None
}

/// `…/redux/iron/healpix/…`, or the name of the archive's sum file.
fn release_of_folder(path: &Path) -> Option<String> {
    let mut parts = path.iter().filter_map(|part| part.to_str());
    if parts.by_ref().any(|part| part == "redux") {
        return parts.next().map(str::to_owned);
    }
    let listed = std::fs::read_dir(path.parent()?).ok()?;
    listed.flatten().find_map(|entry| {
        let name = entry.file_name();
        let rest = name.to_str()?.strip_prefix("redux_")?.strip_suffix(".sha256sum")?;
        Some(rest.split_once("_healpix_")?.0.to_owned())
    })
}

/// The one pixel that all real targets lie in.
fn pixel_of_targets(coadd: Option<&Fits>, findings: &mut Findings) -> Option<Pixel> {
    let counts = coadd.and_then(|fits| count_pixels(fits).ok()).unwrap_or_default();
    match counts.len() {
        0 => {
            let reason = "neither headers nor names say the pixel, and no target has a position";
            findings.add(Outcome::MissingSource, reason);
            None
        }
        1 => {
            findings.note("the pixel was told from the targets' positions");
            counts.into_keys().next()
        }
        _ => {
            let counts: Vec<_> = counts.iter().map(|(p, n)| format!("{p} ({n})")).collect();
            findings.add_with(
                Outcome::Mismatch,
                format!("its targets lie in several pixels: {}", counts.join(", ")),
                "a tile has one pixel: convert the archive's files by HEALPix pixel instead",
            );
            None
        }
    }
}

fn count_pixels(fits: &Fits) -> Result<BTreeMap<Pixel, usize>, crate::fits::Error> {
    let columns =
        fits.table("FIBERMAP")?.read(&["TARGETID", "OBJTYPE", "TARGET_RA", "TARGET_DEC"])?;
    let (ids, types) = (columns.integers("TARGETID")?, columns.texts("OBJTYPE")?);
    let (ra, dec) = (columns.reals("TARGET_RA")?, columns.reals("TARGET_DEC")?);
    let mut counts = BTreeMap::new();
    for i in 0..ids.len() {
        let real = ids[i].is_some_and(|id| id > 0) && types[i] == "TGT";
        if let Some(pixel) = pixel_of(ra[i], dec[i]).filter(|_| real) {
            *counts.entry(pixel).or_default() += 1;
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_are_understood() {
        assert_eq!(parse_stem("main-dark-12712"), Some(("main", "dark", 12712)));
        for stem in
            ["4-80613-thru20210324", "4-80613-20210324", "main-dark-49152", "main-dark", "a-b-1-2"]
        {
            assert_eq!(parse_stem(stem), None, "{stem}");
        }
    }

    #[test]
    fn folders_tell_the_release() {
        let path = Path::new("/x/spectro/redux/iron/healpix/main/dark/100/10000/coadd-x.fits");
        assert_eq!(release_of_folder(path).as_deref(), Some("iron"));
    }

    #[test]
    fn disagreement_is_a_mismatch() {
        let mut findings = Findings::default();
        let mut said = Said::default();
        said.add("coadd header", Some("main"));
        said.add("file name", Some("SV1"));
        assert_eq!(said.agreed("survey", &mut findings).as_deref(), Some("main"));
        assert_eq!(findings.worst(), Some(Outcome::Mismatch));
        assert_eq!(settle("program", Said::default(), None, &mut findings), None);
        assert_eq!(findings.sorted()[1].advice, "give --program");
    }
}
